-- The index of the dead letters; their bytes are objects, written first.
CREATE TABLE dead_letter (
    id           text COLLATE "C" PRIMARY KEY,
    project      text COLLATE "C", -- null where the record's header could not be read
    reason       text COLLATE "C" NOT NULL,
    detail       text COLLATE "C" NOT NULL,
    targets      smallint         NOT NULL CHECK (targets BETWEEN 0 AND 3), -- bits: 1 for search, 2 for the ledger
    first_seen   bigint           NOT NULL,
    last_seen    bigint           NOT NULL,
    object_key   text COLLATE "C" NOT NULL,
    record_bytes bigint           NOT NULL CHECK (record_bytes >= 0)
);

CREATE INDEX dead_letter_by_project ON dead_letter (project, id);

CREATE INDEX dead_letter_by_last_seen ON dead_letter (last_seen, id);

-- The records that were met under the id of a dead letter, by their objects: what it counts, and what is deleted with it.
CREATE TABLE dead_letter_record (
    id         text COLLATE "C" NOT NULL REFERENCES dead_letter ON DELETE CASCADE,
    object_key text COLLATE "C" NOT NULL,
    PRIMARY KEY (id, object_key)
);
