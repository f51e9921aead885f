CREATE SCHEMA ins;
CREATE SCHEMA other;
CREATE SCHEMA pgprime;
SET search_path = ins, public;

CREATE TABLE customers (id int PRIMARY KEY, name text, region text);
CREATE TABLE policies (
    id int PRIMARY KEY,
    customer_id int REFERENCES customers ON DELETE CASCADE ON UPDATE CASCADE,
    state text DEFAULT 'open', premium numeric, created_at timestamptz DEFAULT now(), updated_at timestamptz);
CREATE TABLE claims (id int PRIMARY KEY, policy_id int REFERENCES policies ON DELETE SET NULL, amount numeric);
CREATE TABLE notes (id int PRIMARY KEY, policy_id int REFERENCES policies, body text);
CREATE TABLE audit (at timestamptz DEFAULT now(), what text);
CREATE TABLE lone (id int PRIMARY KEY, n int);
CREATE TABLE counters (name text PRIMARY KEY, n int);
CREATE TABLE "Quoted Table" (id int, "select" int);
CREATE TABLE "order" (id int);
CREATE TABLE other.lone (id int, n int);
CREATE TABLE other.only_there (id int);
CREATE TABLE public.shadowed (id int);
CREATE TABLE shadowed (id int);

CREATE TABLE events (day date, kind text, n int) PARTITION BY RANGE (day);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY LIST (kind);
CREATE TABLE events_2024_a PARTITION OF events_2024 FOR VALUES IN ('a');
CREATE TABLE events_2024_b PARTITION OF events_2024 FOR VALUES IN ('b');
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE animals (id int, name text);
CREATE TABLE dogs () INHERITS (animals);
CREATE TABLE puppies () INHERITS (dogs);
CREATE UNLOGGED TABLE fast (id int);
CREATE SEQUENCE numbers;

CREATE VIEW open_policies AS SELECT id, customer_id, premium FROM policies WHERE state = 'open';
CREATE VIEW customer_premiums AS
    SELECT c.name, sum(p.premium) AS premium FROM open_policies p JOIN customers c ON c.id = p.customer_id GROUP BY c.name;
CREATE VIEW recent AS SELECT * FROM policies WHERE created_at > now() - interval '1 day';
CREATE VIEW locked AS SELECT * FROM lone FOR UPDATE;
CREATE VIEW many AS SELECT l.id, (SELECT max(n) FROM counters) AS top FROM lone l;
CREATE VIEW catalogue AS SELECT relname FROM pg_class;
CREATE VIEW trigger_view AS SELECT id, n FROM lone;
CREATE VIEW rule_view AS SELECT id, n FROM lone;
CREATE MATERIALIZED VIEW daily AS SELECT day, count(*) AS events FROM events GROUP BY day;

-- Functions of all kinds.
CREATE FUNCTION twice(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a * 2';
CREATE FUNCTION premium_of(customer int) RETURNS numeric LANGUAGE sql STABLE AS
    'SELECT sum(premium) FROM policies WHERE customer_id = $1';
CREATE FUNCTION claims_of(customer int) RETURNS numeric LANGUAGE plpgsql STABLE AS
    $$ DECLARE total claims%ROWTYPE; sum numeric; BEGIN
       SELECT sum(amount) INTO sum FROM claims JOIN open_policies p ON p.id = policy_id WHERE p.customer_id = $1;
       total.amount := sum; RETURN total.amount; END $$;
CREATE FUNCTION since() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT now() - interval ''1 day''';
CREATE FUNCTION any_count(name text) RETURNS bigint LANGUAGE plpgsql STABLE AS
    $$ DECLARE n bigint; BEGIN EXECUTE format('SELECT count(*) FROM %I', name) INTO n; RETURN n; END $$;
CREATE FUNCTION constant_count() RETURNS bigint LANGUAGE plpgsql STABLE AS
    $$ DECLARE n bigint; BEGIN EXECUTE 'SELECT count(*) FROM lone' INTO n; RETURN n; END $$;
CREATE FUNCTION count_up(name text) RETURNS int LANGUAGE sql AS
    'UPDATE counters SET n = n + 1 WHERE name = $1 RETURNING n';
CREATE FUNCTION count_up_twice(name text) RETURNS int LANGUAGE plpgsql AS
    $$ BEGIN PERFORM count_up(name); RETURN count_up(name); END $$;
CREATE FUNCTION anything(sql text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE sql; END $$;
CREATE FUNCTION mixed(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a';
CREATE FUNCTION mixed(a text) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
CREATE FUNCTION mixed(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + b';
CREATE FUNCTION defaulted(a int, b int DEFAULT 1, VARIADIC c int[] DEFAULT '{}') RETURNS bigint LANGUAGE plpgsql STABLE AS
    $$ BEGIN RETURN (SELECT count(*) FROM lone); END $$;
CREATE FUNCTION total(l lone) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT sum(c.n) FROM counters c';
CREATE FUNCTION elsewhere() RETURNS bigint LANGUAGE sql STABLE SET search_path = other AS 'SELECT count(*) FROM lone';
CREATE FUNCTION here() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM lone';
CREATE FUNCTION through() RETURNS bigint LANGUAGE sql STABLE SET search_path = other AS 'SELECT ins.here()';
CREATE FUNCTION loops(a int) RETURNS int LANGUAGE plpgsql STABLE AS
    $$ BEGIN RETURN (SELECT max(n) FROM lone) + CASE WHEN a > 0 THEN loops(a - 1) ELSE 0 END; END $$;
CREATE FUNCTION works_on_temporary() RETURNS bigint LANGUAGE plpgsql AS
    $$ BEGIN CREATE TEMP TABLE scratch ON COMMIT DROP AS SELECT * FROM lone; INSERT INTO scratch VALUES (1, 1);
       RETURN (SELECT count(*) FROM scratch); END $$;
CREATE FUNCTION broken() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT 1 FROM not_there); END $$;
CREATE FUNCTION add_step(state numeric, next numeric) RETURNS numeric LANGUAGE sql STABLE AS
    'SELECT $1 + $2 * (SELECT max(n) FROM counters)';
CREATE AGGREGATE weighted (numeric) (sfunc = add_step, stype = numeric, initcond = '0');
CREATE FUNCTION near(a int, b int) RETURNS boolean LANGUAGE sql STABLE AS
    'SELECT abs($1 - $2) < (SELECT min(n) FROM lone)';
CREATE OPERATOR ~=~ (leftarg = int, rightarg = int, function = near);
CREATE FUNCTION is_region(text) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT EXISTS (SELECT FROM customers WHERE region = $1)';
CREATE DOMAIN region AS text CHECK (is_region(VALUE));
CREATE TYPE money_of AS (amount numeric);
CREATE FUNCTION to_money(numeric) RETURNS money_of LANGUAGE sql STABLE AS 'SELECT ROW($1 * (SELECT max(n) FROM counters))::money_of';
CREATE CAST (numeric AS money_of) WITH FUNCTION to_money(numeric);
CREATE FUNCTION tenant() RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT current_setting(''app.tenant'')';
CREATE FUNCTION lone_count() RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN (SELECT count(*) FROM lone); END $$;
CREATE FUNCTION unread() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN EXECUTE 'SELECT ' || 1; RETURN 1; END $$;
CREATE FUNCTION leaves_setting() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('app.tenant', '1', false); END $$;
CREATE FUNCTION leaves_nothing() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('app.tenant', '1', true); END $$;
CREATE PROCEDURE close_all() LANGUAGE plpgsql AS
    $$ BEGIN UPDATE policies SET state = 'closed'; COMMIT; DELETE FROM notes; END $$;
CREATE PROCEDURE note(INOUT id int) LANGUAGE sql AS 'INSERT INTO notes VALUES ($1) RETURNING id';

-- What changes set off.
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.updated_at := clock_timestamp(); RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON policies FOR EACH ROW EXECUTE FUNCTION touch();
CREATE FUNCTION log_policy() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO audit (what) VALUES (TG_OP); RETURN NULL; END $$;
CREATE TRIGGER log AFTER INSERT ON policies FOR EACH ROW EXECUTE FUNCTION log_policy();
CREATE TRIGGER log_events AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION log_policy();
CREATE TABLE dynamic (id int);
CREATE FUNCTION to_anywhere() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN EXECUTE format('INSERT INTO %I.audit (what) VALUES (1)', TG_TABLE_SCHEMA); RETURN NULL; END $$;
CREATE TRIGGER anywhere AFTER INSERT ON dynamic FOR EACH ROW EXECUTE FUNCTION to_anywhere();
CREATE TABLE disabled (id int);
CREATE TRIGGER off AFTER INSERT ON disabled FOR EACH ROW EXECUTE FUNCTION to_anywhere();
ALTER TABLE disabled DISABLE TRIGGER off;
CREATE TABLE told (id int);
CREATE FUNCTION pgprime.notify_change() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_notify('changes', TG_TABLE_NAME); EXECUTE 'SELECT ' || 1; RETURN NULL; END $$;
CREATE TRIGGER pgprime_notify AFTER INSERT OR UPDATE OR DELETE ON told FOR EACH STATEMENT EXECUTE FUNCTION pgprime.notify_change();
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN UPDATE counters SET n = NEW.n WHERE name = 'instead'; RETURN NEW; END $$;
CREATE TRIGGER instead INSTEAD OF INSERT ON trigger_view FOR EACH ROW EXECUTE FUNCTION instead();
CREATE RULE rule AS ON INSERT TO rule_view DO INSTEAD INSERT INTO counters VALUES (NEW.id::text, NEW.n);
CREATE TABLE ruled (id int);
CREATE RULE also AS ON DELETE TO ruled DO ALSO INSERT INTO audit (what) VALUES (OLD.id::text);
CREATE FUNCTION next_number() RETURNS int LANGUAGE sql AS 'UPDATE counters SET n = n + 1 WHERE name = ''next'' RETURNING n';
CREATE TABLE numbered (id int DEFAULT next_number(), region region);
CREATE DOMAIN counted AS int DEFAULT next_number();
CREATE TABLE counting (id int, n counted);
CREATE VIEW with_default AS SELECT id, n FROM lone;
ALTER VIEW with_default ALTER n SET DEFAULT next_number();
CREATE DOMAIN region_of_region AS region;
CREATE TABLE regions (of region_of_region);

-- Rights.
CREATE TABLE secrets (id int, owner text);
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON secrets USING (owner = current_user);
CREATE VIEW secrets_view AS SELECT id FROM secrets;
CREATE FUNCTION secret_count() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT count(*) FROM secrets';
CREATE TABLE guarded (id int);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE VIEW guards AS SELECT next_number() AS n;
CREATE VIEW around_guards AS SELECT n FROM guards;
CREATE POLICY through_views ON guarded USING (EXISTS (SELECT FROM around_guards WHERE n > id));

CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE remote (id int) SERVER nowhere;

INSERT INTO customers VALUES (1, 'a', 'n'), (2, 'b', 's');
INSERT INTO policies (id, customer_id, premium) VALUES (1, 1, 10), (2, 2, 20), (3, 2, 30);
INSERT INTO claims VALUES (1, 1, 5), (2, 2, 6);
INSERT INTO lone VALUES (1, 1), (2, 2);
INSERT INTO other.lone VALUES (1, 1);
INSERT INTO counters VALUES ('a', 1), ('next', 1), ('instead', 0);
INSERT INTO events VALUES ('2024-02-01', 'a', 1), ('2024-02-02', 'b', 2), ('2025-02-02', 'b', 3);
INSERT INTO animals VALUES (1, 'a');
INSERT INTO dogs VALUES (2, 'b');
INSERT INTO puppies VALUES (3, 'c');
INSERT INTO ruled VALUES (1);
INSERT INTO secrets VALUES (1, 'postgres');
REFRESH MATERIALIZED VIEW daily;
