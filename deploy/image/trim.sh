#!/bin/sh
# trim.sh SITE-PACKAGES: removes what no process here loads: tests, sources and headers, and pyarrow's network clients.
set -eu
cd "$1"
du -sm . | sed 's/^/before: /'

# Packages' own tests. numpy.testing and the like are imported by others and stay.
find . -type d \( -name tests -o -name test \) -prune -exec rm -rf {} +
# What only compiling against a package, or checking types, would read.
rm -rf numpy/f2py numpy/_core/include numpy/_core/lib pyarrow/include pyarrow/includes pyarrow/src
find . -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.a' -o -name '*.h' \) -delete

# pyarrow: no Flight, S3, Substrait plans, ORC; files here are local CSV and Parquet. Libraries that others are linked to stay.
rm -f pyarrow/libarrow_flight.* pyarrow/libarrow_python_flight.* pyarrow/_flight.* pyarrow/flight.py
rm -f pyarrow/libarrow_s3.* pyarrow/_s3fs.* pyarrow/_substrait.* pyarrow/substrait.py pyarrow/_orc.* pyarrow/_dataset_orc.*
rm -f pyarrow/*_tests.*
# A wheel cannot hold links: three copies of one library become one.
for library in pyarrow/libarrow_python*.so; do
  for copy in "$library".*; do
    if [ -f "$copy" ] && cmp -s "$library" "$copy"; then ln -sf "${library##*/}" "$copy"; fi
  done
done

du -sm . | sed 's/^/after: /'
