"""asyncpg through the pooler. The argument is a URL; any wrong answer ends it with an error."""

import asyncio
import os
import sys

import asyncpg


def check(found, expected, what):
    if found != expected:
        raise AssertionError(f"{what}: expected {expected!r}, found {found!r}")


async def refused(awaitable, error, what):
    try:
        await awaitable
    except error:
        return
    raise AssertionError(f"{what}: expected {error.__name__}")


async def cached_statements(pool):
    """The driver keeps statements on its connections; the pooler's servers change beneath them."""

    async def work(number):
        for turn in range(40):
            async with pool.acquire() as client:
                query = f"SELECT {number % 5}, $1::int + 1, $2::text, $3::int[]"
                row = await client.fetchrow(query, turn, f"é{number}", [turn, None])
                check(tuple(row), (number % 5, turn + 1, f"é{number}", [turn, None]), f"task {number}")
                await refused(client.fetchval("SELECT 1 / $1::int", 0), asyncpg.DivisionByZeroError, "division")

    await asyncio.gather(*(work(number) for number in range(20)))


async def explicit_statements(pool):
    async with pool.acquire() as client:
        statement = await client.prepare("SELECT n, n::text FROM generate_series(1, $1::int) n")
        check([parameter.name for parameter in statement.get_parameters()], ["int4"], "parameters")
        check([attribute.name for attribute in statement.get_attributes()], ["n", "n"], "attributes")
        for count in range(20):
            check(len(await statement.fetch(count)), count, "rows")


async def cursors(pool):
    async with pool.acquire() as client:
        async with client.transaction():
            total = 0
            async for row in client.cursor("SELECT generate_series(1, 1000) AS n", prefetch=70):
                total += row["n"]
            check(total, 500500, "cursor")
            cursor = await client.cursor("SELECT generate_series(1, 100) AS n")
            await cursor.forward(10)
            check([row["n"] for row in await cursor.fetch(3)], [11, 12, 13], "cursor")


async def copies(pool):
    rows = [(n, None if n % 5 == 0 else f"word {n}") for n in range(20_000)]
    async with pool.acquire() as client:
        await client.execute("CREATE TABLE copied (n int, words text)")
        check(await client.copy_records_to_table("copied", records=rows), "COPY 20000", "copy in")
        check([tuple(row) for row in await client.fetch("SELECT * FROM copied ORDER BY n")], rows, "rows")
        parts = []

        async def take(part):
            parts.append(part)

        await client.copy_from_query("SELECT n FROM copied ORDER BY n", output=take)
        check(b"".join(parts), "".join(f"{n}\n" for n in range(20_000)).encode(), "copy out")
        wrong = client.copy_records_to_table("copied", records=[(1, "x"), ("no number", "y")])
        await refused(wrong, Exception, "copy of a wrong type")
        check(await client.fetchval("SELECT count(*) FROM copied"), 20_000, "rows after the broken copy")


async def many(pool):
    async with pool.acquire() as client:
        await client.execute("CREATE TABLE many (n int PRIMARY KEY, words text)")
        await client.executemany("INSERT INTO many VALUES ($1, $2)", [(n, f"word {n}") for n in range(3000)])
        check(await client.fetchval("SELECT sum(n) FROM many"), 4498500, "executemany")
        duplicate = [(n, "x") for n in (5000, 5001, 7, 5002)]
        await refused(
            client.executemany("INSERT INTO many VALUES ($1, $2)", duplicate), asyncpg.UniqueViolationError, "duplicate"
        )
        check(await client.fetchval("SELECT count(*) FROM many"), 3000, "executemany is all or nothing")


async def introspection(pool):
    """Types that the driver must look up first, by queries of its own amid ours."""
    async with pool.acquire() as client:
        await client.execute("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TYPE pair AS (a int, b mood)")
        await client.execute("CREATE DOMAIN positive AS int CHECK (VALUE > 0)")
    async def work():
        async with pool.acquire() as client:
            check(await client.fetchval("SELECT $1::mood[]", ["ok", "sad"]), ["ok", "sad"], "array of enums")
            check(tuple(await client.fetchval("SELECT $1::pair", (1, "sad"))), (1, "sad"), "composite")
            check(await client.fetchval("SELECT ARRAY[1, 2]::positive[]"), [1, 2], "array of domains")
            check(await client.fetchval("SELECT int4range(1, 5)"), asyncpg.Range(1, 5), "range")
    await asyncio.gather(*(work() for _ in range(8)))


async def transactions(pool):
    async with pool.acquire() as client:
        await client.execute("CREATE TABLE counted (n int); INSERT INTO counted VALUES (0)")

    async def work(number):
        async with pool.acquire() as client:
            for turn in range(20):
                transaction = client.transaction()
                await transaction.start()
                backend = await client.fetchval("SELECT pg_backend_pid()")
                await client.execute("UPDATE counted SET n = n + 1")
                check(await client.fetchval("SELECT pg_backend_pid()"), backend, "backend")
                try:
                    async with client.transaction():
                        await client.execute("SELECT 1 / 0")
                except asyncpg.DivisionByZeroError:
                    pass
                if (number + turn) % 2:
                    await transaction.commit()
                else:
                    await transaction.rollback()

    await asyncio.gather(*(work(number) for number in range(6)))
    check(await pool.fetchval("SELECT n FROM counted"), 60, "counted")


async def cancel(pool):
    """A task that is cancelled makes the driver cancel its query, and nobody else's."""
    direct = await asyncpg.connect(os.environ["DIRECT"])
    running = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE $1"
    async with pool.acquire() as client, pool.acquire() as other:
        for turn in range(3):
            mark = f"asyncpg cancel {turn}"
            sleeping = asyncio.create_task(client.fetchval(f"SELECT pg_sleep(600) -- {mark}"))
            while await direct.fetchval(running, f"%{mark}") != 1:
                check(await other.fetchval("SELECT 'quiet'"), "quiet", "another client")
            sleeping.cancel()
            await refused(sleeping, asyncio.CancelledError, "cancel")
            check(await other.fetchval("SELECT 'quiet'"), "quiet", "another client")
            check(await client.fetchval("SELECT 1"), 1, "after the cancel")
    await direct.close()


async def outdated_statements(_pool):
    """The driver remembers descriptions: it is told that one is outdated, and prepares the statement anew itself."""
    direct, client = await asyncpg.connect(os.environ["DIRECT"]), await asyncpg.connect(os.environ["SINGLE"])
    await direct.execute("CREATE TABLE changing (a int); INSERT INTO changing VALUES (1)")
    changes = (("ADD b int DEFAULT 2", (1, 2)), ("ALTER a TYPE float8", (1.0, 2)), ("DROP b", (1.0,)))
    for change, expected in changes:
        for _ in range(3):
            await client.fetchrow("SELECT * FROM changing")
        await direct.execute(f"ALTER TABLE changing {change}")
        for _ in range(3):
            check(tuple(await client.fetchrow("SELECT * FROM changing")), expected, change)
    await client.close()
    await direct.close()


async def main():
    async with asyncpg.create_pool(sys.argv[1], min_size=8, max_size=8, command_timeout=60) as pool:
        for part in (
            cached_statements,
            explicit_statements,
            cursors,
            copies,
            many,
            introspection,
            transactions,
            cancel,
            outdated_statements,
        ):
            await part(pool)


asyncio.run(asyncio.wait_for(main(), timeout=120))
