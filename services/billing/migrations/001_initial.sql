-- What this schema is, and the oldest release schema whose releases still work on it. Every migration ends by saying both:
-- /api/health of an older release stays well only as far as `works_for` reaches, and tools/schema_compat_check.sh holds the claim
-- against the schemas themselves.
CREATE TABLE schema_version (
    only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version   integer NOT NULL,
    works_for integer NOT NULL CHECK (works_for BETWEEN 1 AND version)
);

CREATE TABLE customers (
    id         text COLLATE "C" PRIMARY KEY,
    name       text NOT NULL,
    country    text NOT NULL,
    vat_id     text,
    time_zone  text NOT NULL,
    currency   text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- A metric has one dimension for ever: its canonical unit is what usage is stored in.
CREATE TABLE metrics (
    id   text COLLATE "C" PRIMARY KEY,
    unit text NOT NULL
);

-- Plans never change: a price that invoices were computed from must stay readable.
CREATE TABLE plans (
    id         text COLLATE "C" PRIMARY KEY,
    metric     text REFERENCES metrics,
    currency   text NOT NULL,
    terms      jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE subscriptions (
    customer   text NOT NULL REFERENCES customers,
    id         text COLLATE "C" NOT NULL,
    plan       text NOT NULL REFERENCES plans,
    starts     date NOT NULL,
    ends       date CHECK (ends > starts),
    PRIMARY KEY (customer, id)
);

CREATE TABLE usage (
    customer    text NOT NULL REFERENCES customers,
    key         text COLLATE "C" NOT NULL,
    metric      text NOT NULL REFERENCES metrics,
    quantity    numeric(27, 9) NOT NULL CHECK (quantity >= 0),
    at          timestamptz(3) NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer, key)
);
CREATE INDEX usage_by_time ON usage (customer, metric, at) INCLUDE (quantity);

-- Issued invoices never change. The period is kept as instants, so that late usage is refused by one comparison.
CREATE TABLE invoices (
    customer     text NOT NULL REFERENCES customers,
    month        text COLLATE "C" NOT NULL,
    number       bigint NOT NULL UNIQUE,
    period_start timestamptz NOT NULL,
    period_end   timestamptz NOT NULL,
    document     jsonb NOT NULL,
    issued_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer, month)
);

-- Invoice numbers have no gaps (Directive 2006/112/EC, Article 226(2)); a sequence would leave one after each rollback.
CREATE TABLE invoice_counter (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    last     bigint NOT NULL
);
INSERT INTO invoice_counter (last) VALUES (0);

INSERT INTO schema_version (version, works_for) VALUES (1, 1);
