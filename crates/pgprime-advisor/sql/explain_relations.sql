-- $1: relations. Their expressions are stored as trees that hold the numbers of what they refer to.
-- Objects below 16384 came with the server.
SELECT /* pgprime */
    relation.oid,
    format('%I.%I', namespace.nspname, relation.relname) AS name,
    relation.relkind::text AS kind,
    ARRAY(
        SELECT rule.ev_action::text FROM pg_catalog.pg_rewrite AS rule
        WHERE rule.ev_class = relation.oid AND rule.ev_type = '1' AND relation.oid >= 16384
    ) || ARRAY(
        SELECT policy.polqual::text FROM pg_catalog.pg_policy AS policy
        WHERE policy.polrelid = relation.oid AND relation.relrowsecurity AND policy.polqual IS NOT NULL
    ) || ARRAY(
        SELECT expression.adbin::text
        FROM pg_catalog.pg_attrdef AS expression
        JOIN pg_catalog.pg_attribute AS attribute
            ON attribute.attrelid = expression.adrelid AND attribute.attnum = expression.adnum
        WHERE expression.adrelid = relation.oid AND attribute.attgenerated = 'v'
    ) AS trees,
    ARRAY(
        SELECT child.inhrelid FROM pg_catalog.pg_inherits AS child WHERE child.inhparent = relation.oid
    ) AS children
FROM pg_catalog.pg_class AS relation
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
WHERE relation.oid = ANY ($1::oid[])
