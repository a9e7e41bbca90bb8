#!/bin/sh
# trim.sh SITE-PACKAGES: removes what no process here loads: tests, sources and headers, formats and services nobody asks for.
# warm.py then shows that what is needed is left.
set -eu
cd "$1"
du -sm . | sed 's/^/before: /'

# Packages' own tests. numpy.testing and the like are imported by others and stay.
find . -type d \( -name tests -o -name test \) -prune -exec rm -rf {} +
# What only compiling against a package, or checking types, would read.
rm -rf numpy/f2py numpy/distutils numpy/_core/include numpy/_core/lib pyarrow/include pyarrow/includes pyarrow/src
find . -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.a' -o -name '*.h' -o -name '*.c' \) -delete

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

# matplotlib draws SVG: no PDF or PostScript with their fonts, no sample data, and of fontTools only the names of glyphs.
rm -rf matplotlib/mpl-data/sample_data matplotlib/mpl-data/fonts/afm matplotlib/mpl-data/fonts/pdfcorefonts
rm -rf mpl_toolkits/axes_grid1 mpl_toolkits/axisartist
find fontTools -mindepth 1 -maxdepth 1 -type d ! -name misc -exec rm -rf {} +
rm -f fontTools/misc/*.so
# Pillow: PNG only, no text, no colour management.
rm -f PIL/_avif.* PIL/_webp.* PIL/_imagingcms.* PIL/_imagingft.* PIL/_imagingtk.*
for library in avif webp sharpyuv lcms2 freetype harfbuzz brotli png16; do rm -f pillow.libs/lib"$library"*; done
# SQLAlchemy: SQLite, and PostgreSQL where its driver is added. pygments: rich colours no source code here.
rm -rf sqlalchemy/testing sqlalchemy/dialects/mssql sqlalchemy/dialects/mysql sqlalchemy/dialects/oracle
find pygments/lexers -name '[!_]*.py' ! -name python.py -delete
rm -f pygments/lexers/_*_builtins.py

du -sm . | sed 's/^/after: /'
