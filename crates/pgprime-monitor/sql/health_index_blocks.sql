SELECT /* pgprime: blocks of indexes, and how many of them were in memory */
    coalesce(sum(pg_stat_get_blocks_hit(c.oid)), 0)::int8 AS blocks_hit,
    coalesce(sum(pg_stat_get_blocks_fetched(c.oid)), 0)::int8 AS blocks_fetched
FROM pg_class c
WHERE c.relkind = 'i' AND c.oid >= 16384 AND c.relpersistence <> 't'
