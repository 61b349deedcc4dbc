"""Apply migrations/*.sql that were not applied yet, each in one transaction. Safe to run again."""

from pathlib import Path

from database import connect
from stores import forget

if __name__ == "__main__":
    database = connect()
    database.run("CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, at timestamptz DEFAULT now())")
    done = {row[0] for row in database.run("SELECT name FROM schema_migrations")}
    for path in sorted((Path(__file__).parent / "migrations").glob("*.sql")):
        if path.name not in done:
            database.run("BEGIN")
            for statement in path.read_text().split(";\n"):
                if statement.strip():
                    database.run(statement)
            database.run("INSERT INTO schema_migrations (name) VALUES (:name)", name=path.name)
            database.run("COMMIT")
            print(f"applied {path.name}")
    forget()
