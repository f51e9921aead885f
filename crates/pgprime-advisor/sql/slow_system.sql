SELECT /* pgprime: whose data this is */ system_identifier::text AS system FROM pg_control_system()
