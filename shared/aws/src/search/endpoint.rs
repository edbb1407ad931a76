//! Where the cluster is, and how it lets us in, as its URL says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;

/// A cluster's address.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// Scheme, host and port.
    pub(super) base: String,
    /// Host and port.
    pub(super) host: String,
    pub(super) access: Access,
}

/// How the cluster lets us in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// As it does anyone: a cluster without its security plug-in, on this machine.
    Open,
    /// With a user and a password: the whole `Authorization` header, which is marked as sensitive.
    Password(HeaderValue),
    /// With a signature for this region.
    Signed { region: String },
}

/// What is wrong with a cluster's URL. The URL, which may hold a password, is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It can't be read.
    #[error("the search cluster's URL is none")]
    NoUrl,
    /// A path or a query behind the host.
    #[error("the search cluster's URL has a path; it is `https://HOST` or `https://USER:PASSWORD@HOST`")]
    Path,
    /// Plain HTTP to another machine.
    #[error("the search cluster's URL must begin with https; plain HTTP is for 127.0.0.1 alone")]
    Plain,
    /// Neither a domain of AWS's, whose region a signature needs, nor a user and a password.
    #[error("the search cluster's URL has neither a host of AWS's, `...REGION.es.amazonaws.com`, nor USER:PASSWORD@")]
    NoAccess,
}

impl Endpoint {
    /// Reads `https://search-NAME.REGION.es.amazonaws.com` (requests are signed for that region) or
    /// `https://USER:PASSWORD@HOST:PORT`. Plain HTTP, with or without a password, is for this machine alone.
    pub(super) fn parse(url: &str) -> Result<Self, EndpointError> {
        let uri: Uri = url.parse().map_err(|_| EndpointError::NoUrl)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(EndpointError::NoUrl);
        };
        if uri.path_and_query().is_some_and(|path| path != "/") {
            return Err(EndpointError::Path);
        }
        let is_local = ["127.0.0.1", "[::1]", "localhost"].contains(&authority.host());
        if scheme != "https" && !(scheme == "http" && is_local) {
            return Err(EndpointError::Plain);
        }
        let (user, host) = match authority.as_str().rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority.as_str()),
        };
        let access = match (user, region(authority.host())) {
            (Some(user), _) => password(user)?,
            (None, Some(region)) => Access::Signed { region },
            (None, None) if is_local => Access::Open,
            (None, None) => return Err(EndpointError::NoAccess),
        };
        Ok(Self { base: format!("{scheme}://{host}"), host: host.to_owned(), access })
    }
}

fn password(user: &str) -> Result<Access, EndpointError> {
    let (name, password) = user.split_once(':').ok_or(EndpointError::NoUrl)?;
    let mut pair: Vec<u8> = percent_decode_str(name).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(password));
    let header = HeaderValue::try_from(format!("Basic {}", BASE64.encode(pair)));
    let mut header = header.map_err(|_| EndpointError::NoUrl)?;
    header.set_sensitive(true);
    Ok(Access::Password(header))
}

/// The region of a domain of AWS's: `NAME.REGION.es.amazonaws.com`, `NAME.aos.REGION.on.aws`.
fn region(host: &str) -> Option<String> {
    let labels: Vec<&str> = host.split('.').collect();
    let region = match labels.as_slice() {
        [_, region, "es", "amazonaws", "com"] | [_, region, "es", "amazonaws", "com", "cn"] => region,
        [_, "aos", region, "on", "aws"] => region,
        _ => return None,
    };
    Some((*region).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_of_aws_tells_its_region() {
        for (url, expected) in [
            ("https://search-core-abc.eu-west-1.es.amazonaws.com", "eu-west-1"),
            ("https://vpc-core-abc.cn-north-1.es.amazonaws.com.cn/", "cn-north-1"),
            ("https://core-abc.aos.us-east-2.on.aws:443", "us-east-2"),
        ] {
            let endpoint = Endpoint::parse(url).unwrap();
            assert_eq!(endpoint.access, Access::Signed { region: expected.to_owned() }, "{url}");
        }
    }

    #[test]
    fn a_password_is_decoded_and_taken_out_of_the_address() {
        let endpoint = Endpoint::parse("https://ad%40min:p%3Ass@search.example:9200").unwrap();
        assert_eq!(endpoint.base, "https://search.example:9200");
        assert_eq!(endpoint.host, "search.example:9200");
        assert_eq!(endpoint.access, Access::Password("Basic YWRAbWluOnA6c3M=".parse().unwrap()));
        assert!(!format!("{endpoint:?}").contains("YWRAbWlu"), "{endpoint:?}");
    }

    #[test]
    fn a_cluster_elsewhere_needs_tls_and_a_way_in() {
        for (url, expected) in [
            ("http://search.example:9200", EndpointError::Plain),
            ("http://u:p@search.example", EndpointError::Plain),
            ("ftp://127.0.0.1", EndpointError::Plain),
            ("https://search.example", EndpointError::NoAccess),
            ("https://u:p@search.example/path", EndpointError::Path),
            ("https://u@search.example", EndpointError::NoUrl),
            ("search.example", EndpointError::NoUrl),
            ("", EndpointError::NoUrl),
        ] {
            assert_eq!(Endpoint::parse(url).unwrap_err(), expected, "{url}");
        }
        assert_eq!(Endpoint::parse("http://127.0.0.1:9200").unwrap().access, Access::Open);
    }
}
