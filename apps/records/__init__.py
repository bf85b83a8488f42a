"""The paper trail: audit entries, jobs with progress, documents' bytes, idempotency keys."""
