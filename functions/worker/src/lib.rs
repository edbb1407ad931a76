//! A batch from the stream to one store; answers which records to redeliver.
