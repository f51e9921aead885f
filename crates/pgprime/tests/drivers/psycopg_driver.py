"""psycopg 3 through the pooler. The argument is a conninfo string; any wrong answer ends it with an error."""

import faulthandler
import os
import sys
import threading
import time

import psycopg
from psycopg import sql
from psycopg.rows import dict_row


def check(found, expected, what):
    if found != expected:
        raise AssertionError(f"{what}: expected {expected!r}, found {found!r}")


def refused(call, error, what):
    try:
        call()
    except error:
        return
    raise AssertionError(f"{what}: expected {error.__name__}")


def connect(**options):
    return psycopg.connect(sys.argv[1], autocommit=True, **options)


def prepared_statements():
    """From the first and from the sixth execution on, in text and binary, over servers that change."""

    def work(number, threshold):
        with connect(prepare_threshold=threshold) as client:
            for turn in range(30):
                for binary in (False, True):
                    cursor = client.cursor(binary=binary)
                    cursor.execute("SELECT %s::int + 1, %s::text, %s::int[]", (turn, f"é{number}", [turn, None]))
                    check(cursor.fetchone(), (turn + 1, f"é{number}", [turn, None]), f"client {number}")
                with client.transaction():
                    first = client.execute("SELECT pg_backend_pid()").fetchone()
                    check(client.execute("SELECT pg_backend_pid()").fetchone(), first, "backend in a transaction")

    in_parallel(work, [(number, number % 2 * 5) for number in range(8)])


def in_parallel(work, arguments):
    failures = []

    def guarded(*values):
        try:
            work(*values)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=values) for values in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def few_prepared():
    """The driver closes its oldest statement when it has too many."""
    with connect(prepare_threshold=0) as client:
        client.prepared_max = 3
        for turn in range(40):
            number = turn % 7
            check(client.execute(f"SELECT {number}, %s::int", (turn,)).fetchone(), (number, turn), "few prepared")
    with connect(prepare_threshold=0) as client:
        for command in ("DEALLOCATE ALL", "DISCARD ALL"):
            for turn in range(3):
                check(client.execute("SELECT %s::int", (turn,)).fetchone(), (turn,), "before " + command)
            client.execute(command)
            check(client.execute("SELECT %s::int", (9,)).fetchone(), (9,), "after " + command)


def pipeline():
    with connect(prepare_threshold=0) as client:
        client.execute("CREATE TABLE pipelined (n int PRIMARY KEY)")
        for turn in range(5):
            with client.pipeline() as pipe:
                cursors = [client.execute("SELECT %s::int * 2", (number,)) for number in range(100)]
                pipe.sync()
                inserted = client.execute("INSERT INTO pipelined VALUES (%s) RETURNING n", (turn,))
            check([cursor.fetchone()[0] for cursor in cursors], list(range(0, 200, 2)), "pipeline")
            check(inserted.fetchone(), (turn,), "pipeline")

        def failing():
            with client.pipeline():
                client.execute("INSERT INTO pipelined VALUES (100)")
                client.execute("INSERT INTO pipelined VALUES (0)")
                client.execute("SELECT 1")

        refused(failing, psycopg.errors.UniqueViolation, "duplicate in a pipeline")
        check(client.execute("SELECT count(*) FROM pipelined").fetchone(), (5,), "rows after the failed pipeline")
        with client.pipeline(), client.transaction():
            first = client.execute("SELECT pg_backend_pid()")
            client.execute("INSERT INTO pipelined VALUES (200)")
            last = client.execute("SELECT pg_backend_pid()")
            check(first.fetchone(), last.fetchone(), "backend in a pipelined transaction")
        check(client.execute("SELECT max(n) FROM pipelined").fetchone(), (200,), "pipelined transaction")


def many_rows():
    with connect(prepare_threshold=0) as client:
        client.execute("CREATE TABLE many (n int, words text)")
        with client.cursor() as cursor:
            cursor.executemany("INSERT INTO many VALUES (%s, %s)", [(n, f"word {n}") for n in range(1000)])
            check(cursor.rowcount, 1000, "executemany")
            cursor.executemany("SELECT %s::int", [(n,) for n in range(50)], returning=True)
            found = [cursor.fetchone()[0]]
            while cursor.nextset():
                found.append(cursor.fetchone()[0])
            check(found, list(range(50)), "executemany with results")
        check(client.execute("SELECT sum(n), count(DISTINCT words) FROM many").fetchone(), (499500, 1000), "rows")


def copy():
    with connect() as client:
        client.execute("CREATE TABLE copied (n int, words text, bytes bytea)")
        rows = [(n, None if n % 5 == 0 else f"tab\t {n}\n\\", bytes([n % 256, 0])) for n in range(5000)]
        for option in ("TEXT", "BINARY"):
            client.execute("TRUNCATE copied")
            with client.cursor().copy(f"COPY copied FROM STDIN (FORMAT {option})") as into:
                into.set_types(["int4", "text", "bytea"])
                for row in rows:
                    into.write_row(row)
            with client.cursor().copy(f"COPY (SELECT * FROM copied ORDER BY n) TO STDOUT (FORMAT {option})") as out:
                out.set_types(["int4", "text", "bytea"])
                check(list(out.rows()), rows, f"COPY in {option}")

        def broken():
            with client.cursor().copy("COPY copied FROM STDIN") as into:
                into.write_row((1, "x", b""))
                raise ZeroDivisionError

        refused(broken, ZeroDivisionError, "COPY that the client gives up")
        check(client.execute("SELECT count(*) FROM copied").fetchone(), (5000,), "rows after the broken COPY")


def cancel():
    with connect() as client, connect() as other, psycopg.connect(os.environ["DIRECT"], autocommit=True) as direct:
        for turn in range(3):
            mark = f"psycopg cancel {turn}"

            def cancel_when_running():
                query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE %s"
                deadline = time.monotonic() + 60
                while direct.execute(query, (f"%{mark}%",)).fetchone() != (1,) and time.monotonic() < deadline:
                    pass
                client.cancel_safe(timeout=30)

            thread = threading.Thread(target=cancel_when_running)
            thread.start()
            refused(lambda: client.execute(f"SELECT pg_sleep(600) -- {mark}"), psycopg.errors.QueryCanceled, "cancel")
            thread.join()
            check(client.execute("SELECT 1").fetchone(), (1,), "after the cancel")
            check(other.execute("SELECT 2").fetchone(), (2,), "another client")


def cursors():
    """Server-side cursors: in a transaction, with names, in text and binary."""
    with connect(row_factory=dict_row) as client:
        for binary in (False, True):
            with client.transaction():
                with client.cursor("Näme of it", binary=binary) as cursor:
                    cursor.execute("SELECT n, n::text AS t FROM generate_series(1, %s) n", (1000,))
                    cursor.itersize = 33
                    check(sum(row["n"] for row in cursor), 500500, "named cursor")
                with client.cursor("scrolling", scrollable=True, binary=binary) as cursor:
                    cursor.execute("SELECT generate_series(1, 100) AS n")
                    cursor.scroll(50)
                    check(cursor.fetchone(), {"n": 51}, "scrolled cursor")
                    cursor.scroll(-10)
                    check(cursor.fetchone(), {"n": 42}, "scrolled cursor")
        with client.cursor("held", withhold=False) as cursor:
            refused(lambda: cursor.execute("SELECT 1"), psycopg.Error, "cursor outside a transaction")


def outdated_statements():
    """The driver asks for the description with every execution: the pooler prepares such statements anew."""
    with connect(prepare_threshold=0) as client, psycopg.connect(os.environ["DIRECT"], autocommit=True) as direct:
        direct.execute("CREATE TABLE changing (a int)")
        direct.execute("INSERT INTO changing VALUES (1)")
        query = "SELECT * FROM changing WHERE a = %s"
        for columns in range(1, 4):
            for _ in range(3):
                row = client.execute(query, (1,)).fetchone()
                check(len(row), columns, "columns")
            direct.execute(sql.SQL("ALTER TABLE changing ADD {} int DEFAULT 0").format(sql.Identifier(f"b{columns}")))


def errors_and_large_values():
    with connect(prepare_threshold=0) as client:
        for _ in range(10):
            refused(lambda: client.execute("SELECT 1 / %s", (0,)), psycopg.errors.DivisionByZero, "error")
            refused(lambda: client.execute("SELEC %s", (0,)), psycopg.errors.SyntaxError, "syntax error")
        with client.transaction(force_rollback=True):
            refused(lambda: client.execute("SELECT 1 / %s", (0,)), psycopg.errors.DivisionByZero, "error")
            refused(lambda: client.execute("SELECT 1"), psycopg.errors.InFailedSqlTransaction, "failed transaction")
        for size in (1, 8_000, 16_383, 16_384, 16_385, 70_000, 5_000_000):
            value = os.urandom(size)
            cursor = client.cursor(binary=True)
            check(cursor.execute("SELECT %b::bytea", (value,)).fetchone()[0] == value, True, f"{size} bytes")


if __name__ == "__main__":
    faulthandler.dump_traceback_later(120, exit=True)
    prepared_statements()
    few_prepared()
    pipeline()
    many_rows()
    copy()
    cancel()
    cursors()
    outdated_statements()
    errors_and_large_values()
