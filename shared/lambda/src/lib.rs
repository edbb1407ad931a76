//! Between the Lambda runtime and a function's `handle`: HTTP and Kinesis events in, answers out.
