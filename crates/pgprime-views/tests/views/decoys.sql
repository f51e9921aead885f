-- Operators and functions in public that fit some arguments better than PostgreSQL's own of the same name do.
CREATE FUNCTION pg_temp.made(sql text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE sql;
EXCEPTION WHEN OTHERS THEN
    NULL; -- PostgreSQL has no such name, or the very same one.
END $$;

CREATE TEMP TABLE types AS
SELECT pg_catalog.unnest(ARRAY['text', 'name', '"char"', 'int2', 'int4', 'int8', 'oid', 'real', 'float8', 'numeric', 'bool',
                               'interval', 'timestamptz', 'jsonb', 'int2[]', 'oid[]', 'text[]', 'int2vector', 'aclitem[]',
                               'regclass', 'pg_lsn', 'inet']) AS t;

SELECT pg_temp.made(pg_catalog.format(
           $$CREATE FUNCTION public.decoy(%s, %s) RETURNS bool LANGUAGE sql AS 'SELECT true'$$, l.t, r.t))
FROM types l, types r;

SELECT pg_temp.made(pg_catalog.format(
           'CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.decoy)', op, l.t, r.t))
FROM types l, types r, pg_catalog.unnest('{=,<>,<,>,<=,>=,+,-,*,/,||,~,!~,~~,!~~,->>,&&,@>}'::text[]) AS op
WHERE NOT EXISTS (SELECT FROM pg_operator o
                  WHERE o.oprname = op AND o.oprleft = l.t::regtype AND o.oprright = r.t::regtype);

WITH few(t) AS (VALUES ('text'), ('name'), ('int2'), ('int4')), arguments(list) AS (
    SELECT t FROM types
    UNION ALL SELECT a.t || ',' || b.t FROM types a, types b
    UNION ALL SELECT pg_catalog.concat_ws(',', 'text', a.t, b.t) FROM few a, few b
    UNION ALL SELECT pg_catalog.concat_ws(',', 'text', a.t, b.t, c.t) FROM few a, few b, few c
), called AS (
    SELECT DISTINCT proname AS f
    FROM pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND proname = ANY (CALLED)
)
SELECT pg_catalog.count(pg_temp.made(pg_catalog.format(
           $$CREATE FUNCTION public.%I(%s) RETURNS text LANGUAGE sql AS 'SELECT NULL'$$, f, list))::text)
FROM arguments, called;

SELECT pg_temp.made($$CREATE FUNCTION public.to_jsonb(pg_attribute) RETURNS text LANGUAGE sql AS 'SELECT NULL'$$);
