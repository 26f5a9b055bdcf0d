"""`python -m bench` is the benchmark there is: the load of S3 exports."""

from bench.s3_load import main

main()
