//! Mail addresses: the strict form that a suppression needs (RFC 5321, 6531).
