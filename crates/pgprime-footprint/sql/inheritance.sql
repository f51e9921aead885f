-- Parents and children, partitions included.
SELECT /* pgprime */ inhparent AS parent, inhrelid AS child FROM pg_inherits ORDER BY 1, 2
