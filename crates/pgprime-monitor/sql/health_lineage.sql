SELECT /* pgprime: which server this is, in which of its lives: what was remembered of another is not its own */
    system.system_identifier::text || CASE
        WHEN pg_is_in_recovery()
            THEN concat_ws(' ', ' replica', current_setting('cluster_name'), current_setting('port'), inet_server_addr())
        -- A replica that was promoted has a timeline of its own, and those who follow it are others.
        ELSE ' ' || substring(pg_walfile_name(pg_current_wal_lsn()) FROM 1 FOR 8)
    END AS lineage
FROM pg_control_system() system
