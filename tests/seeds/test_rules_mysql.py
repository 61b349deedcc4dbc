"""Dumps of MySQL and MariaDB whose statements a server does not read as the check does."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenroom.seeds.check import Checked, Wants, check

HEAD = """-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
CREATE TABLE `a` (`i` int, `x` text) ENGINE=InnoDB;
INSERT INTO `a` VALUES (1,'two');
"""


def checked(folder: Path, statement: str) -> Checked:
    dump = folder / "dump.sql"
    dump.write_text(f"{HEAD}{statement}\n-- Dump completed on 2026-11-30\n")
    return check(dump, Wants("mariadb", "10.11", no_columns=True))


@pytest.mark.parametrize(
    "statement",
    [
        "/*!999999 CREATE TABLE x */ CREATE EVENT e ON SCHEDULE EVERY 1 SECOND DO DELETE FROM a;",
        "/*!50701 CREATE TABLE x */ CREATE EVENT e ON SCHEDULE EVERY 1 SECOND DO DELETE FROM a;",
        "/*!50701 CREATE TABLE x */ INSERT INTO a SELECT 2, CONCAT('bob@', 'bank.com');",
        "/*!50701 CREATE TABLE x */ EXECUTE IMMEDIATE 'CREATE TABLE z (a int)';",
        "/*!50701 SET NAMES */ 'x';",
        "/*!50701 CREATE TABLE */(SELECT 1);",
        "INSERT INTO a /*!50701 VALUES (1, '2'), */ SELECT 1, 'bob@bank.com';",
        "REPLACE INTO a /*!50701 VALUES (1, '2'), */ SELECT 1, 'bob@bank.com';",
        "CREATE TABLE y (b int) /*!200000 COMMENT 'x' */;",
    ],
)
def test_statement_that_hides_behind_a_comment_is_refused(statement: str, tmp_path: Path) -> None:
    assert "The statement cannot be checked." in " ".join(checked(tmp_path, statement).refused)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE y (b text) SELECT CONCAT('bob@', 'bank.com') AS b;",
        "CREATE TABLE y /*!50701 (a int) */ SELECT CONCAT('bob@', 'bank.com') AS b;",
        "CREATE OR REPLACE TABLE y (a int) AS SELECT 1 AS a;",
        "CREATE TABLE y (a int, b text) AS VALUES (1, 'bob@bank.com');",
        "CREATE TABLE y (b text) VALUES ROW('bob@bank.com');",
    ],
)
def test_table_that_is_made_from_a_query_is_refused(statement: str, tmp_path: Path) -> None:
    assert "CREATE TABLE … SELECT computes rows" in " ".join(checked(tmp_path, statement).refused)


@pytest.mark.parametrize(
    "statement",
    [
        "/*!40101 SET NAMES utf8mb4 */;",
        "/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 SQL SECURITY INVOKER */\n/*!50001 VIEW `v` AS SELECT `i` FROM `a` */;",
        "DELIMITER ;;\n/*!50003 CREATE*/ /*!50003 TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN SET NEW.i = 1; END */;;\nDELIMITER ;",
        "CREATE TABLE `z` (`i` int, `select` int, `values` int) /*!50100 PARTITION BY HASH (`i`) */;",
        "CREATE TABLE `z` (`i` int) PARTITION BY LIST (`i`) (PARTITION `p` VALUES IN (1,2));",
        "CREATE TABLE `z` (`i` int) PARTITION BY RANGE (`i`) (PARTITION `p` VALUES LESS THAN (10));",
        "/*!40000 ALTER TABLE `a` DISABLE KEYS */;",
        "/*M!100616 SET @OLD_NOTE_VERBOSITY=@@NOTE_VERBOSITY, NOTE_VERBOSITY=0 */;",
    ],
)
def test_statement_of_a_dump_program_is_accepted(statement: str, tmp_path: Path) -> None:
    assert checked(tmp_path, statement).refused == ()
