"""Facts of the attribution methods: what each is called, may be used for, can be set to, and reports."""
