SELECT /* pgprime */ pg_catalog.quote_ident(namespace.nspname) AS schema
FROM pg_catalog.pg_extension AS extension
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = extension.extnamespace
WHERE extension.extname = 'pg_stat_statements'
