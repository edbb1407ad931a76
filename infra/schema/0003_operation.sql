-- Issued tokens, which are themselves never stored.
CREATE TABLE token (
    id         text COLLATE "C" PRIMARY KEY,
    project    text COLLATE "C" NOT NULL,
    scopes     text[]           NOT NULL,
    kid        text COLLATE "C" NOT NULL,
    issued_at  bigint           NOT NULL,
    expires_at bigint           NOT NULL
);

CREATE INDEX token_by_project ON token (project, issued_at, id);

CREATE TABLE outage (
    id             text COLLATE "C" PRIMARY KEY,
    target         text COLLATE "C" NOT NULL,
    region         text COLLATE "C" NOT NULL,
    cause          text COLLATE "C" NOT NULL,
    started_at     bigint           NOT NULL,
    ended_at       bigint, -- null while it lasts
    failed_batches bigint           NOT NULL CHECK (failed_batches >= 0),
    failed_records bigint           NOT NULL CHECK (failed_records >= 0),
    updated_at     bigint           NOT NULL -- a write takes effect only if it is later
);

CREATE INDEX outage_by_start ON outage (started_at, id);

-- The audit trail. A detail is json and not jsonb: it is kept as it was written, to the last digit.
CREATE TABLE audit_event (
    id      text COLLATE "C" PRIMARY KEY,
    project text COLLATE "C", -- null where it is of no project
    at      bigint           NOT NULL,
    actor   text             NOT NULL,
    action  text             NOT NULL,
    subject text             NOT NULL,
    detail  json             NOT NULL
);

CREATE INDEX audit_event_by_time ON audit_event (project, at, id);
