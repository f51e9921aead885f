-- Says that something has changed in a table, when that is committed; many statements of one transaction say it once.
CREATE OR REPLACE FUNCTION pgprime.notify_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('pgprime_changes', pg_catalog.format('%I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME));
    RETURN NULL;
END
$$;
