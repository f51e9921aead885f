SELECT /* pgprime: the size of this database */
    pg_database_size(current_database())::int8 AS bytes
