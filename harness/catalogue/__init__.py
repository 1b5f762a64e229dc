"""Facts about models as data, and the questions one may ask of them."""
