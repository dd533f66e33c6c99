"""The only network client: data sets, downloads, and which addresses are refused."""
