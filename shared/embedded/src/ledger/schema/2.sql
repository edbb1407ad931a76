-- Records of dead letters, outages, the audit trail.

-- The records that were met under the id of a dead letter, by their objects: what it counts, and what is deleted with it.
CREATE TABLE dead_letter_record (
    id         TEXT NOT NULL,
    object_key TEXT NOT NULL,
    PRIMARY KEY (id, object_key)
) STRICT, WITHOUT ROWID;

INSERT INTO dead_letter_record (id, object_key) SELECT id, object_key FROM dead_letter;

CREATE INDEX dead_letter_by_last_seen ON dead_letter (last_seen, id);

CREATE TABLE outage (
    id             TEXT    NOT NULL PRIMARY KEY,
    target         TEXT    NOT NULL,
    region         TEXT    NOT NULL,
    cause          TEXT    NOT NULL,
    started_at     INTEGER NOT NULL,
    ended_at       INTEGER,          -- null while it lasts
    failed_batches INTEGER NOT NULL,
    failed_records INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL  -- a write takes effect only if it is later
) STRICT, WITHOUT ROWID;

CREATE INDEX outage_by_start ON outage (started_at, id);

CREATE TABLE audit_event (
    id      TEXT    NOT NULL PRIMARY KEY,
    project TEXT,             -- null where it is of no project
    at      INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    detail  TEXT    NOT NULL  -- a JSON object
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_event_by_time ON audit_event (project, at, id);
