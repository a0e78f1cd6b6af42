"""The use case: what is received becomes what is stored. Knows the domain and its own ports, nothing else."""
