//! A schema by chance: relations that all have the columns `id, n, r, x`, and whatever reads and writes them by itself.

use fastrand::Rng;
use tokio_postgres::Client;

const VERSION_WITH_BOUND_BODIES: i32 = 140_000;
const VERSION_WITH_INVOKERS: i32 = 150_000;

/// What was made.
pub(crate) struct Schema {
    pub(crate) version: i32,
    /// What can be written, or may be.
    pub(crate) targets: Vec<String>,
    pub(crate) tables: Vec<String>,
    pub(crate) views: Vec<String>,
    pub(crate) materialized: Vec<String>,
    /// Expressions that read, of an `int`.
    pub(crate) readers: Vec<String>,
    /// Expressions that write.
    pub(crate) writers: Vec<String>,
    pub(crate) procedures: Vec<String>,
    /// Of schemas that are found by another path alone.
    pub(crate) hidden: Vec<String>,
}

/// Makes it, piece by piece; what PostgreSQL refuses is not there.
struct Maker<'a> {
    client: &'a Client,
    random: &'a mut Rng,
    schema: Schema,
    number: u32,
}

impl Schema {
    pub(crate) async fn make(client: &Client, database: &str, random: &mut Rng) -> Self {
        let version =
            client.query_one("SELECT current_setting('server_version_num')::int", &[]).await.unwrap();
        let schema = Self {
            version: version.get(0),
            targets: Vec::new(),
            tables: Vec::new(),
            views: Vec::new(),
            materialized: Vec::new(),
            readers: Vec::new(),
            writers: Vec::new(),
            procedures: Vec::new(),
            hidden: Vec::new(),
        };
        let base = format!(
            "CREATE SCHEMA a; CREATE SCHEMA b; ALTER DATABASE {database} SET search_path = a, public; \
             SET search_path = a, public; \
             CREATE TABLE log (id int, n int NOT NULL DEFAULT 0, r int, x text DEFAULT '')"
        );
        client.batch_execute(&base).await.unwrap();
        let mut maker = Maker { client, random, schema, number: 0 };
        maker.all().await;
        maker.schema
    }

    pub(crate) fn target<'a>(&'a self, random: &mut Rng) -> &'a str {
        one(random, &self.targets)
    }

    /// Anything with rows.
    pub(crate) fn relations(&self) -> impl Iterator<Item = &String> {
        self.targets.iter().chain(&self.materialized)
    }
}

pub(crate) fn one<'a>(random: &mut Rng, all: &'a [String]) -> &'a str {
    &all[random.usize(..all.len())]
}

pub(crate) fn choice<'a>(random: &mut Rng, all: &[&'a str]) -> &'a str {
    all[random.usize(..all.len())]
}

impl Maker<'_> {
    async fn all(&mut self) {
        self.tables().await;
        self.partitions().await;
        for _ in 0..self.random.usize(3..7) {
            self.reading_function().await;
            self.view().await;
        }
        for _ in 0..self.random.usize(4..8) {
            self.writing_function().await;
        }
        for _ in 0..self.random.usize(4..9) {
            self.attach().await;
        }
        self.materialized().await;
        self.hidden().await;
        self.procedures().await;
    }

    async fn try_this(&mut self, sql: &str) -> bool {
        self.client.batch_execute(sql).await.is_ok()
    }

    fn name(&mut self, prefix: &str) -> String {
        self.number += 1;
        let schema = choice(self.random, &["a", "public", "b"]);
        format!("{schema}.{prefix}{}", self.number)
    }

    async fn tables(&mut self) {
        for _ in 0..4 {
            let name = self.name("t");
            let sql = format!(
                "CREATE TABLE {name} (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, r int DEFAULT 1, x text DEFAULT 'x'); \
                 INSERT INTO {name} SELECT i, i, i % 3 + 1, 'y' FROM generate_series(1, 5) i"
            );
            assert!(self.try_this(&sql).await, "{sql}");
            if !self.schema.tables.is_empty() {
                let other = one(self.random, &self.schema.tables).to_owned();
                let actions = ["CASCADE", "SET NULL", "SET DEFAULT", "NO ACTION"];
                let (delete, update) = (choice(self.random, &actions), choice(self.random, &actions));
                let key = format!(
                    "ALTER TABLE {name} ADD FOREIGN KEY (r) REFERENCES {other} (id) ON DELETE {delete} ON UPDATE {update}"
                );
                self.try_this(&key).await;
            }
            self.schema.tables.push(name.clone());
            self.schema.targets.push(name);
        }
    }

    async fn partitions(&mut self) {
        let (root, heir) = (self.name("p"), self.name("h"));
        let parent = one(self.random, &self.schema.tables).to_owned();
        let sql = format!(
            "CREATE TABLE {root} (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, r int, x text DEFAULT 'x') \
               PARTITION BY RANGE (id); \
             CREATE TABLE {root}_low PARTITION OF {root} FOR VALUES FROM (0) TO (4); \
             CREATE TABLE {root}_high PARTITION OF {root} FOR VALUES FROM (4) TO (100) PARTITION BY RANGE (id); \
             CREATE TABLE {root}_high_all PARTITION OF {root}_high DEFAULT; \
             INSERT INTO {root} SELECT i, i, i % 3 + 1, 'z' FROM generate_series(1, 6) i; \
             ALTER TABLE {root} ADD FOREIGN KEY (r) REFERENCES {parent} (id) ON DELETE CASCADE ON UPDATE SET NULL; \
             CREATE TABLE {heir} () INHERITS ({parent}); INSERT INTO {heir} VALUES (50, 1, 1, 'h')"
        );
        if self.try_this(&sql).await {
            self.schema.targets.push(format!("{root}_low"));
            self.schema.targets.push(format!("{root}_high_all"));
            self.schema.targets.push(root);
            self.schema.targets.push(heir);
        }
    }

    fn source(&mut self) -> String {
        one(self.random, &self.schema.targets).to_owned()
    }

    async fn view(&mut self) {
        let (name, from, other) = (self.name("v"), self.source(), self.source());
        let reader = match self.schema.readers.is_empty() {
            true => "id".to_owned(),
            false => one(self.random, &self.schema.readers).replace("$1", "id"),
        };
        let invoker = if self.schema.version >= VERSION_WITH_INVOKERS && self.random.bool() {
            "WITH (security_invoker = true)"
        } else {
            ""
        };
        let query = match self.random.u32(0..7) {
            0 => format!("SELECT id, n, r, x FROM {from}"),
            1 => format!("SELECT id, n, r, x FROM {from} WHERE id < 60 WITH LOCAL CHECK OPTION"),
            2 => format!("SELECT o.id, f.n, o.r, f.x FROM {from} f JOIN {other} o ON o.id = f.id"),
            3 => format!("SELECT id, n, r, x FROM {from} UNION ALL SELECT id, n, r, x FROM {other}"),
            4 => format!("SELECT id, ({reader})::int AS n, r, x FROM {from}"),
            5 => format!("SELECT id, n, r, x FROM {from} WHERE id IN (SELECT r FROM {other})"),
            _ => format!(
                "WITH c AS (SELECT * FROM {other}) SELECT f.id, (SELECT max(c.n) FROM c) AS n, f.r, f.x FROM ONLY {from} f"
            ),
        };
        if !self.try_this(&format!("CREATE VIEW {name} {invoker} AS {query}")).await {
            return;
        }
        let writer = self.random.u32(0..4);
        if writer == 0 {
            let target = one(self.random, &self.schema.tables).to_owned();
            let rule = format!(
                "CREATE RULE w AS ON UPDATE TO {name} DO INSTEAD UPDATE {target} SET n = NEW.n WHERE id = OLD.id; \
                 CREATE RULE d AS ON DELETE TO {name} DO INSTEAD DELETE FROM {target} WHERE id = OLD.id"
            );
            self.try_this(&rule).await;
        }
        self.schema.views.push(name.clone());
        self.schema.targets.push(name);
    }

    async fn reading_function(&mut self) {
        let (name, from) = (self.name("reads"), self.source());
        let bound = self.schema.version >= VERSION_WITH_BOUND_BODIES;
        let definer = choice(self.random, &["", "", "SECURITY DEFINER"]);
        let query = format!("SELECT coalesce(sum(n), 0)::int FROM {from} WHERE id >= k");
        let body = match self.random.u32(0..5) {
            0 if bound => format!("LANGUAGE sql {definer} STABLE RETURN ({query})"),
            1 if bound => format!("LANGUAGE sql {definer} STABLE BEGIN ATOMIC {query}; END"),
            2 => format!(
                "LANGUAGE plpgsql {definer} STABLE AS $$ DECLARE s int; BEGIN s := ({query}); RETURN s; END $$"
            ),
            3 => format!(
                "LANGUAGE plpgsql {definer} STABLE AS $$ DECLARE s int := 0; q record; BEGIN \
                 FOR q IN SELECT n FROM {from} WHERE id >= k LOOP s := s + q.n; END LOOP; RETURN s; END $$"
            ),
            _ => format!("LANGUAGE sql {definer} STABLE AS '{query}'"),
        };
        if self.try_this(&format!("CREATE FUNCTION {name}(k int) RETURNS int {body}")).await {
            self.schema.readers.push(format!("{name}($1)"));
        }
        if self.random.u32(0..3) == 0 {
            let sql = format!("CREATE OPERATOR b.<+> (LEFTARG = int, RIGHTARG = int, FUNCTION = {name}_o)");
            let function = format!(
                "CREATE FUNCTION {name}_o(k int, l int) RETURNS int LANGUAGE sql STABLE AS '{query} + l'"
            );
            if self.try_this(&function).await && self.try_this(&sql).await {
                self.schema.readers.push("(1 OPERATOR(b.<+>) $1)".to_owned());
            }
        }
        if self.random.u32(0..3) == 0 {
            let sql = format!(
                "CREATE FUNCTION {name}_s(s int, k int) RETURNS int LANGUAGE sql STABLE AS \
                 'SELECT s + coalesce(sum(n), 0)::int FROM {from} WHERE id >= k'; \
                 CREATE AGGREGATE {name}_a(int) (SFUNC = {name}_s, STYPE = int, INITCOND = '0')"
            );
            if self.try_this(&sql).await {
                self.schema.readers.push(format!("(SELECT {name}_a(g) FROM generate_series(0, $1) g)"));
            }
        }
    }

    /// A statement that does something, for the inside of a function.
    fn inner_write(&mut self) -> String {
        let target = self.source();
        let set = match self.schema.writers.is_empty() || self.random.u32(0..4) > 0 {
            true => "n + 1".to_owned(),
            false => format!("n + 0 * {}", one(self.random, &self.schema.writers)),
        };
        match self.random.u32(0..5) {
            0 => "INSERT INTO a.log (id) VALUES (1)".to_owned(),
            1 => format!("DELETE FROM {target} WHERE id = 5"),
            2 => format!("INSERT INTO {target} (id, n) VALUES (7, 1) ON CONFLICT DO NOTHING"),
            _ => format!("UPDATE {target} SET n = {set} WHERE id < 4"),
        }
    }

    async fn writing_function(&mut self) {
        let (name, write) = (self.name("writes"), self.inner_write());
        let quoted = write.replace('\'', "''");
        let bound = self.schema.version >= VERSION_WITH_BOUND_BODIES;
        let other = match self.schema.writers.is_empty() {
            true => "1".to_owned(),
            false => one(self.random, &self.schema.writers).to_owned(),
        };
        let body = match self.random.u32(0..9) {
            0 if bound => format!("LANGUAGE sql BEGIN ATOMIC {write}; SELECT 1; END"),
            1 => format!("LANGUAGE plpgsql AS $$ BEGIN EXECUTE '{quoted}'; RETURN 1; END $$"),
            2 => format!(
                "LANGUAGE plpgsql AS $$ DECLARE q text := '{quoted}'; BEGIN EXECUTE q; RETURN 1; END $$"
            ),
            3 => format!(
                "LANGUAGE plpgsql AS $$ DECLARE i int := {other}; BEGIN IF i IS NULL THEN RETURN 2; END IF; RETURN i; END $$"
            ),
            4 => format!("LANGUAGE plpgsql AS $$ BEGIN PERFORM {other}; {write}; RETURN 1; END $$"),
            5 => format!("LANGUAGE plpgsql SET search_path = b AS $$ BEGIN {write}; RETURN 1; END $$"),
            6 => format!(
                "LANGUAGE plpgsql AS $$ DECLARE c CURSOR FOR SELECT {other} AS v; r record; BEGIN \
                 FOR r IN c LOOP {write}; END LOOP; RETURN 1; END $$"
            ),
            7 => format!("LANGUAGE plpgsql AS $$ BEGIN RETURN {other}; END $$"),
            _ => format!("LANGUAGE sql AS '{quoted}; SELECT 1'"),
        };
        if self.try_this(&format!("CREATE FUNCTION {name}() RETURNS int VOLATILE {body}")).await {
            self.schema.writers.push(format!("{name}()"));
        }
    }

    /// Something that writes by itself, on a table or view.
    async fn attach(&mut self) {
        let target = self.source();
        let table = one(self.random, &self.schema.tables).to_owned();
        let write = self.inner_write();
        let writer = match self.schema.writers.is_empty() {
            true => return,
            false => one(self.random, &self.schema.writers).to_owned(),
        };
        let name = self.name("f");
        let bare = name.replace('.', "_");
        let trigger = format!(
            "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF pg_trigger_depth() < 3 THEN {write}; END IF; \
             IF TG_OP = 'DELETE' THEN RETURN OLD; ELSE RETURN NEW; END IF; END $$;"
        );
        let events =
            choice(self.random, &["INSERT", "UPDATE", "DELETE", "INSERT OR UPDATE OR DELETE", "UPDATE OF n"]);
        let when = choice(self.random, &["BEFORE", "AFTER"]);
        let each = choice(self.random, &["ROW", "STATEMENT"]);
        let sql = match self.random.u32(0..12) {
            0 | 1 => format!(
                "{trigger} CREATE TRIGGER {bare} {when} {events} ON {table} FOR EACH {each} EXECUTE FUNCTION {name}()"
            ),
            2 => format!(
                "{trigger} CREATE TRIGGER {bare} INSTEAD OF INSERT OR UPDATE OR DELETE ON {target} FOR EACH ROW \
                 EXECUTE FUNCTION {name}()"
            ),
            3 => format!(
                "{trigger} CREATE CONSTRAINT TRIGGER {bare} AFTER {events} ON {table} DEFERRABLE INITIALLY DEFERRED \
                 FOR EACH ROW EXECUTE FUNCTION {name}()"
            ),
            4 => format!(
                "{trigger} CREATE TRIGGER {bare} AFTER TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
            ),
            5 => format!(
                "CREATE RULE {bare} AS ON UPDATE TO {table} DO ALSO INSERT INTO a.log (id) VALUES (NEW.n)"
            ),
            6 => {
                format!("CREATE RULE {bare} AS ON INSERT TO {table} WHERE NEW.id > 8 DO ALSO SELECT {writer}")
            }
            7 => format!("ALTER TABLE {table} ALTER n SET DEFAULT {writer}"),
            8 => format!("ALTER VIEW {target} ALTER n SET DEFAULT {writer}"),
            9 => format!(
                "CREATE FUNCTION {name}(k int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN \
                 INSERT INTO a.log (id) VALUES (k); RETURN true; END $$; \
                 CREATE DOMAIN {name}_d AS int CHECK ({name}(VALUE)); \
                 ALTER TABLE {table} ALTER n DROP DEFAULT; ALTER TABLE {table} ALTER n TYPE {name}_d"
            ),
            10 => format!(
                "CREATE DOMAIN {name}_d AS int DEFAULT {writer}; \
                 ALTER TABLE {table} ALTER r DROP DEFAULT; ALTER TABLE {table} ALTER r TYPE {name}_d"
            ),
            _ => format!(
                "CREATE FUNCTION {name}_e() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN \
                 INSERT INTO a.log (id) VALUES (9); END $$; \
                 CREATE EVENT TRIGGER {bare} ON ddl_command_end EXECUTE FUNCTION {name}_e()"
            ),
        };
        self.try_this(&sql).await;
    }

    async fn materialized(&mut self) {
        let (name, from) = (self.name("m"), self.source());
        let sql = format!(
            "CREATE MATERIALIZED VIEW {name} AS SELECT id, n, r, x FROM {from}; CREATE INDEX ON {name} (id)"
        );
        if self.try_this(&sql).await {
            self.schema.materialized.push(name);
        }
    }

    /// A function of one name that does nothing by the usual path, and writes by another.
    async fn hidden(&mut self) {
        let write = self.inner_write();
        let sql = format!(
            "CREATE FUNCTION a.hidden() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'; \
             CREATE FUNCTION b.hidden() RETURNS int LANGUAGE plpgsql AS $$ BEGIN {write}; RETURN 1; END $$; \
             CREATE FUNCTION b.lower(t text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN {write}; RETURN t; END $$; \
             CREATE VIEW a.twice AS SELECT 1 AS id; \
             CREATE VIEW b.twice AS SELECT b.hidden() AS id"
        );
        let bare = self.schema.tables[0].rsplit('.').next().unwrap_or_default().to_owned();
        let leaving = format!(
            "CREATE FUNCTION a.leaves_path() RETURNS void LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM set_config('search_path', 'b', false); END $$; \
             CREATE FUNCTION a.leaves_table() RETURNS void LANGUAGE plpgsql AS \
             $$ BEGIN CREATE TEMP TABLE {bare} AS SELECT 1 AS id, 999 AS n, 1 AS r, 's' AS x; END $$; \
             CREATE FUNCTION a.leaves_table_by_text(t text) RETURNS void LANGUAGE plpgsql AS \
             $$ BEGIN EXECUTE 'CREATE TEMP TABLE ' || t || ' AS SELECT 1 AS id, 999 AS n, 1 AS r, ''s'' AS x'; END $$"
        );
        assert!(self.try_this(&leaving).await);
        if self.try_this(&sql).await {
            let hidden = ["SELECT hidden()", "SELECT lower('A')", "SELECT * FROM twice"];
            self.schema.hidden.extend(hidden.map(str::to_owned));
        }
    }

    async fn procedures(&mut self) {
        let (name, one, other) = (self.name("proc"), self.inner_write(), self.inner_write());
        let sql =
            format!("CREATE PROCEDURE {name}() LANGUAGE plpgsql AS $$ BEGIN {one}; COMMIT; {other}; END $$");
        if self.try_this(&sql).await {
            self.schema.procedures.push(format!("CALL {name}()"));
        }
        let (name, write) = (self.name("calls"), self.inner_write());
        let sql = format!(
            "CREATE PROCEDURE {name}(INOUT k int DEFAULT 1) LANGUAGE plpgsql AS $$ BEGIN {write}; END $$"
        );
        if self.try_this(&sql).await {
            self.schema.procedures.push(format!("CALL {name}()"));
        }
    }
}
