//! Who may do what: the directory, tokens, and signed reports.
//!
//! A token is a JWT that names its project and what it allows ([`Authority::verify`]). It is checked against the
//! directory alone ([`DirectoryCache`]): public keys by `kid`, revocations by `jti`, projects by name. What changes the
//! directory ([`publish`] and what calls it) writes it whole, under a condition, so that no two changes are lost in each
//! other; the regions' copies follow it ([`copy_directory`]). A signed report is a compact JWS that one of its project's own keys verifies ([`verify_signed`]).
//!
//! Only ES256, EdDSA and RS256 are known here; `none` and the HS family have no name in this crate, and a key verifies
//! under its own algorithm, never under the one that a header asks for.

mod authority;
mod copies;
mod directory;
mod http;
mod jws;
mod key;
mod key_file;
mod project;
mod publish;
mod sender_key;
mod signed;
mod token;
mod token_key;

#[cfg(test)]
mod doubles;

pub use authority::{AuthError, Authority, Caller};
pub use copies::{Copied, copy_directory};
pub use directory::{DirectoryCache, DirectoryError, DirectoryUnavailable, Refreshed};
pub use http::{problem_response, token_in};
pub use key_file::{KeyFileError, PublicKeyFile};
pub use project::{ProjectRequest, add_project, change_retention, set_signed_only};
pub use publish::{ChangeError, Refused, publish};
pub use sender_key::{add_sender_key, revoke_sender_key};
pub use signed::{Signed, SignedError, verify_signed};
pub use token::{IssueError, TokenRequest, issue_token, restore_tokens, revoke_token};
pub use token_key::{ensure_directory, rotate_key};
