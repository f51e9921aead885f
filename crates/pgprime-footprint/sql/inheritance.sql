-- Parents and children, partitions included.
SELECT inhparent AS parent, inhrelid AS child FROM pg_inherits ORDER BY 1, 2
