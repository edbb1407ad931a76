//! The forms in which HTTP reaches a function.

/// How a request came, and so how its answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// An Application Load Balancer's target group.
    Alb,
    /// The same with `lambda.multi_value_headers.enabled`: an answer's `headers` would be ignored.
    AlbMultiValue,
    /// Payload format 2.0: a Function URL, or an HTTP API of API Gateway.
    V2,
}
