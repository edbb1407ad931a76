-- The first version of the ledger's tables (PRAGMA user_version). Times are milliseconds since 1970, in UTC.

-- One compact row for each invocation. The key is the report's id: the day first, so that the rows of a day lie together
-- and leave together when their retention ends.
CREATE TABLE invocation (
    day               INTEGER NOT NULL, -- yyyymmdd, of the report's own timestamp
    hash              BLOB    NOT NULL, -- 16 bytes
    version           INTEGER NOT NULL, -- a write takes effect only if its version is greater
    project           TEXT    NOT NULL,
    account           TEXT    NOT NULL,
    region            TEXT    NOT NULL,
    function          TEXT    NOT NULL,
    timestamp         INTEGER NOT NULL,
    received_at       INTEGER NOT NULL,
    retention_days    INTEGER NOT NULL,
    token             TEXT    NOT NULL, -- the claim jti, never the token
    duration_ms       REAL,
    coldstart         INTEGER NOT NULL,
    error_fingerprint TEXT,
    report_bytes      INTEGER NOT NULL,
    PRIMARY KEY (day, hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX invocation_by_time ON invocation (project, timestamp);

-- The index of the dead letters; their bytes are objects, written first.
CREATE TABLE dead_letter (
    id           TEXT    NOT NULL PRIMARY KEY,
    project      TEXT,             -- null where the record's header could not be read
    reason       TEXT    NOT NULL,
    detail       TEXT    NOT NULL,
    targets      INTEGER NOT NULL, -- bits: 1 for search, 2 for the ledger
    first_seen   INTEGER NOT NULL,
    last_seen    INTEGER NOT NULL,
    object_key   TEXT    NOT NULL,
    record_bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX dead_letter_by_project ON dead_letter (project, id);

-- Issued tokens, which are themselves never stored.
CREATE TABLE token (
    id         TEXT    NOT NULL PRIMARY KEY,
    project    TEXT    NOT NULL,
    scopes     TEXT    NOT NULL, -- names joined by spaces
    kid        TEXT    NOT NULL,
    issued_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX token_by_project ON token (project, issued_at, id);
