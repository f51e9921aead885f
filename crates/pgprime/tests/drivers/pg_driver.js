// node's pg through the pooler. The argument is a URL; any wrong answer ends it with an error.
"use strict";

const assert = require("node:assert/strict");
const { Client, Pool } = require("pg");

const url = process.argv[2];

async function withClient(work) {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

// Statements under names that clash between clients, over servers that change.
async function namedStatements() {
  const work = (number) =>
    withClient(async (client) => {
      for (let turn = 0; turn < 40; turn++) {
        const text = "SELECT $1::int + 1 AS n, $2::text AS t";
        const shared = { name: "shared", text, values: [turn, `é${number}`] };
        assert.deepEqual((await client.query(shared)).rows, [{ n: turn + 1, t: `é${number}` }]);
        const own = { name: "own", text: `SELECT ${number} AS own, $1::int[] AS list`, values: [[turn, null]] };
        assert.deepEqual((await client.query(own)).rows, [{ own: number, list: [turn, null] }]);
      }
    });
  await Promise.all(Array.from({ length: 15 }, (_, number) => work(number)));
}

async function queuedQueries() {
  await withClient(async (client) => {
    const queries = Array.from({ length: 50 }, (_, number) =>
      number % 7 === 6
        ? client.query("SELECT 1 / $1::int", [0]).then(() => assert.fail("no error"), (error) => error.code)
        : client.query("SELECT $1::int AS n", [number]).then((result) => result.rows[0].n),
    );
    const expected = Array.from({ length: 50 }, (_, number) => (number % 7 === 6 ? "22012" : number));
    assert.deepEqual(await Promise.all(queries), expected);
  });
}

async function transactions(pool) {
  await pool.query("CREATE TABLE counted (n int); INSERT INTO counted VALUES (0)");
  const work = async (number) => {
    const client = await pool.connect();
    try {
      for (let turn = 0; turn < 10; turn++) {
        await client.query("BEGIN");
        const backend = (await client.query("SELECT pg_backend_pid() AS pid")).rows[0].pid;
        await client.query({ name: "add", text: "UPDATE counted SET n = n + $1", values: [1] });
        assert.equal((await client.query("SELECT pg_backend_pid() AS pid")).rows[0].pid, backend);
        await client.query((number + turn) % 2 ? "COMMIT" : "ROLLBACK");
      }
    } finally {
      client.release();
    }
  };
  await Promise.all(Array.from({ length: 10 }, (_, number) => work(number)));
  assert.equal((await pool.query("SELECT n FROM counted")).rows[0].n, 50);
}

async function severalResultsAndNotices() {
  await withClient(async (client) => {
    const results = await client.query("SELECT 1 AS a; SELECT 2 AS b, 3 AS c");
    assert.deepEqual(results.map((result) => result.rows), [[{ a: 1 }], [{ b: 2, c: 3 }]]);
    const notices = [];
    client.on("notice", (notice) => notices.push(notice.message));
    await client.query("DO $$ BEGIN RAISE NOTICE 'heard'; END $$");
    assert.deepEqual(notices, ["heard"]);
  });
}

async function changedTypes(pool) {
  await pool.query("CREATE TABLE changing (a int); INSERT INTO changing VALUES (1)");
  const query = (client) => client.query({ name: "changing", text: "SELECT * FROM changing" });
  await withClient(async (client) => {
    assert.deepEqual((await query(client)).rows, [{ a: 1 }]);
    await pool.query("ALTER TABLE changing ADD b int DEFAULT 2");
    for (let turn = 0; turn < 5; turn++) assert.deepEqual((await query(client)).rows, [{ a: 1, b: 2 }]);
  });
}

async function largeValues() {
  await withClient(async (client) => {
    for (const size of [1, 16384, 70000, 5000000]) {
      const value = Buffer.alloc(size, "0123456789");
      const { rows } = await client.query("SELECT $1::bytea AS value", [value]);
      assert.ok(rows[0].value.equals(value), `${size} bytes`);
    }
  });
}

async function main() {
  setTimeout(() => {
    console.error("hung");
    process.exit(1);
  }, 120_000).unref();
  const pool = new Pool({ connectionString: url, max: 10 });
  await namedStatements();
  await queuedQueries();
  await transactions(pool);
  await severalResultsAndNotices();
  await changedTypes(pool);
  await largeValues();
  await pool.end();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
