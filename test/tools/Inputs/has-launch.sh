#!/bin/sh
# Interesting is what still launches a kernel.
grep -q rt.launch "$1" && exit 1
exit 0
