-- One compact row for each invocation, in a partition for each day, so that the rows of a day lie together and leave
-- together. The key is the report's id.
--
-- Times are milliseconds since 1970, in UTC: exactly what the reports and the embedded ledger hold, without a conversion on
-- the way through the Data API, and with every value that a report can bring. A day is a date.
CREATE TABLE invocation (
    day               date             NOT NULL, -- of the report's own timestamp
    hash              bytea            NOT NULL CHECK (octet_length(hash) = 16),
    version           bigint           NOT NULL CHECK (version >= 0), -- a write takes effect only if its version is greater
    project           text COLLATE "C" NOT NULL,
    account           text COLLATE "C" NOT NULL,
    region            text COLLATE "C" NOT NULL,
    function          text             NOT NULL,
    timestamp         bigint           NOT NULL,
    received_at       bigint           NOT NULL,
    retention_days    smallint         NOT NULL CHECK (retention_days > 0),
    token             text COLLATE "C" NOT NULL, -- the claim jti, never the token
    duration_ms       double precision,
    coldstart         boolean          NOT NULL,
    error_fingerprint text COLLATE "C",
    report_bytes      bigint           NOT NULL CHECK (report_bytes >= 0),
    PRIMARY KEY (day, hash)
) PARTITION BY RANGE (day);

CREATE INDEX invocation_by_time ON invocation (project, timestamp);

-- Makes a day's partition unless it is there. A writer calls it before the first write of a day, so that no write waits
-- for a schedule. Attaching a finished table locks out neither readers nor writers, which CREATE TABLE ... PARTITION OF
-- would. Of writers that come at once the first makes it and the others wait for that, by the lock that attaching takes;
-- an advisory lock would not do, since one who waited for it goes on to see the catalog as it was before.
CREATE FUNCTION create_invocation_day(day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text := 'invocation_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN;
    END IF;
    LOCK TABLE invocation IN SHARE UPDATE EXCLUSIVE MODE;
    IF to_regclass(name) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE invocation INCLUDING ALL)', name);
    EXECUTE format('ALTER TABLE invocation ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, day, day + 1);
END
$$;
