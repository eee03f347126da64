"""Commands as processes: what they write where, and what signals do to them."""
