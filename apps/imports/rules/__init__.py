"""What the files of a history must look like, and what a row of them says.

A folder holds three files of comma-separated values (semicolons are understood as well), in UTF-8 with or
without a byte order mark, the first line naming the columns in any order. Moments are ISO 8601 with a zone
(`2025-03-01T12:00:00Z`), amounts have a decimal point and no grouping, an empty cell of a column that may
be left out says the same as leaving it out. Lines without content are skipped.

`partners.csv`: who took part; one line per ad space.

| column | | meaning |
| --- | --- | --- |
| `partner` | must | short name of the partner: letters, digits, `-`, `_`; at most 80 |
| `name` | must | its name, at most 200 characters |
| `country` | must | ISO 3166, two capital letters |
| `ad_space` | must | short name of the ad space, unique within the partner |
| `ad_space_category` | may | short name of a category, at most 60; default `editorial` |
| `kind` | may | `CONTENT` (default), `COMPARISON`, `COUPON`, `CASHBACK`, `CREATOR`, `OTHER` |
| `tax_status` | may | `BUSINESS`, `SMALL_BUSINESS`, `PRIVATE`; fills the tax profile together with the next six |
| `legal_name` | may | required as soon as `tax_status` or `iban` is given |
| `address`, `postcode`, `city` | may | street and number (200), postcode (20), city (100) |
| `vat_id`, `tax_number` | may | checked where it is an EU number (20); as the tax office writes it (40) |
| `iban` | may | fills the payout profile, the holder being `legal_name` |
| `self_billing_on` | may | day (`2025-01-31`) on which the partner agreed to self-billing |
| `self_billing_version` | may | which wording it agreed to, at most 20; default `1` |

`touches.csv`: contacts of visitors, in any order.

| column | | meaning |
| --- | --- | --- |
| `touch_id` | must | the source's own id, at most 200 characters, one moment each |
| `visitor_id` | must | the source's own id of the visitor, at most 200 characters |
| `occurred_at` | must | when; after 1999, not in the future |
| `kind` | must | `CLICK`, `SOFT_CLICK`, `VIEW`, `COUPON`, `VISIT`, `CALL`, `STORE`, `EXTERNAL`, `GOAL` |
| `channel` | must | name of the channel, at most 60 characters |
| `partner`, `ad_space` | must | short names as in `partners.csv`; both empty: a touch of the advertiser's own |
| `channel_class` | may | `PAID` (default), `OWNED`, `EARNED` |
| `goal` | may | for the kind `GOAL`: which, at most 40 characters |
| `country`, `device` | may | ISO 3166; at most 10 characters |

`conversions.csv`: what visitors did in the end.

| column | | meaning |
| --- | --- | --- |
| `order_ref` | must | the shop's order number, at most 120; the key together with advertiser and goal |
| `visitor_id` | must | as in `touches.csv`; may be empty |
| `occurred_at` | must | when; after 1999, not in the future |
| `goal` | must | `SALE`, `LEAD` or an own goal of capitals, digits, `-`, `_`; at most 40 |
| `amount` | must | net of VAT and shipping, after the discount; not negative |
| `currency` | must | ISO 4217, one of the campaign's |
| `discount` | may | of the whole order, not negative |
| `coupon` | may | code used at checkout, at most 80; several are parted by `|` |
| `customer_new` | may | `yes` or `no` (also `true`, `false`, `1`, `0`) |
| `customer_id` | may | the shop's number of the customer; stored as a keyed hash, joins visitors |
| `email_sha256` | may | SHA-256 of the e-mail in lower case; stored as a keyed hash, joins visitors |
| `country`, `device` | may | ISO 3166; at most 10 characters |
"""
