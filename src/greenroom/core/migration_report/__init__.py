"""The migration report: two snapshots of a database and the server's log in, findings out. Pure.

snapshot.py     read what seeds/report/snapshot.sh prints
server_log.py   read the server's log, and choose the settings that it needs
sql_text.py     tokens of SQL, and statements without their literals
ddl.py          which table a statement changes, and under which lock
findings.py     compare the snapshots; columns.py and locks.py are parts of it
failures.py     why the migration failed, and the queries that count the rows in the way
schema_diff.py  the schema as lines
report.py       all of it together
"""
