//! The two forms in which KMS answers: a public key as SubjectPublicKeyInfo, a signature as ECDSA-Sig-Value.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};

/// Bytes of a coordinate of P-256, and of r and s each.
const COORDINATE_BYTES: usize = 32;

/// How the SubjectPublicKeyInfo of every P-256 key begins (RFC 5480, 2): id-ecPublicKey, prime256v1, a bit string of 65
/// bytes. What follows is the point.
pub(super) const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The uncompressed point of a P-256 public key; none for any other key.
pub(super) fn point(spki: &[u8]) -> Option<&[u8]> {
    let point = spki.strip_prefix(&P256)?;
    let fits = point.len() == 1 + 2 * COORDINATE_BYTES;
    (fits && ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).is_ok()).then_some(point)
}

/// r and s, 32 bytes each (RFC 7518, 3.4), of a signature in DER (RFC 3279, 2.2.3).
pub(super) fn signature(der: &[u8]) -> Option<Vec<u8>> {
    let (integers, rest) = element(0x30, der)?;
    let (r, behind) = element(0x02, integers)?;
    let (s, end) = element(0x02, behind)?;
    let mut fixed = Vec::with_capacity(2 * COORDINATE_BYTES);
    for number in [r, s] {
        // A number whose first bit is set has a zero before it, and a small one has no zeros at all.
        let digits = number.strip_prefix(&[0]).unwrap_or(number);
        fixed.resize(fixed.len() + COORDINATE_BYTES.checked_sub(digits.len())?, 0);
        fixed.extend(digits);
    }
    (rest.is_empty() && end.is_empty()).then_some(fixed)
}

/// The content of an element of at most 127 bytes, and what follows it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    (found == tag && length < 0x80).then_some(())?;
    rest.split_at_checked(usize::from(length))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey};

    use super::*;

    #[test]
    fn every_signature_verifies_in_its_other_form() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref().to_vec());
        // One in 128 has a short r or s.
        for number in 0..2000_u32 {
            let message = number.to_be_bytes();
            let der = pair.sign(&SystemRandom::new(), &message).unwrap();
            public.verify(&message, &signature(der.as_ref()).unwrap()).unwrap();
        }
    }

    #[test]
    fn small_numbers_are_filled_up() {
        let fixed = signature(&[0x30, 7, 0x02, 1, 5, 0x02, 2, 0, 0x80]).unwrap();
        assert_eq!((fixed.len(), fixed[31], fixed[63]), (64, 5, 0x80));
    }

    #[test]
    fn what_is_no_signature_is_none() {
        let long = [vec![0x30, 39, 0x02, 33], vec![1; 33], vec![0x02, 1, 1]].concat();
        for der in [
            &[][..],
            &[0x30],
            &[0x30, 6, 0x02, 1, 5],
            &[0x31, 6, 0x02, 1, 5, 0x02, 1, 5],
            &[0x30, 6, 0x02, 1, 5, 0x02, 1, 5, 0],
            &[0x30, 7, 0x02, 1, 5, 0x02, 1, 5, 0],
            &[0x30, 3, 0x02, 1, 5],
            &[0x30, 0x81, 6, 0x02, 1, 5, 0x02, 1, 5],
            &long,
        ] {
            assert_eq!(signature(der), None, "{der:?}");
        }
    }

    #[test]
    fn a_point_is_taken_out_of_a_p256_key_alone() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let spki = [P256.as_slice(), pair.public_key().as_ref()].concat();
        assert_eq!(point(&spki), Some(pair.public_key().as_ref()));
        let mut off_the_curve = spki.clone();
        off_the_curve[90] ^= 1;
        let mut other_curve = spki.clone();
        other_curve[22] = 0x22;
        for wrong in [&spki[..90], &off_the_curve, &other_curve, &[spki.clone(), vec![0]].concat(), &[]] {
            assert_eq!(point(wrong), None);
        }
    }
}
