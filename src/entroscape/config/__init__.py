"""Configuration: what may be said (`schema`), reading it (`load`), and what each verb sees of it (`settings`)."""
