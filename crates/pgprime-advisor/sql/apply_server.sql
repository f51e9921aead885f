SELECT /* pgprime: whether indexes can be created here */
    pg_is_in_recovery() AS in_recovery,
    pg_backend_pid() AS process
