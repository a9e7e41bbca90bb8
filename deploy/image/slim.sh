#!/bin/sh
# Removes from a Debian with Python what no process of the image needs: pip and its relatives, perl, documents,
# translations, caches, and every set-user-id or set-group-id bit.
set -eu
surplus='perl perl-base perl-modules-.* libperl.* python3-pip python3-pip-whl python3-setuptools python3-setuptools-whl
 python3-wheel python3-pkg-resources python3-venv python3.11-venv python3-lib2to3 python3-distutils e2fsprogs logsave'
for pattern in $surplus; do
  dpkg-query -W -f '${Package}\n' 2>/dev/null | grep -x "$pattern" || true
done >/tmp/surplus
# Nothing is configured afterwards: packages that would need perl for that have been.
if [ -s /tmp/surplus ]; then
  xargs dpkg --purge --force-depends --force-remove-essential --force-remove-protected </tmp/surplus >/dev/null
fi
for folder in /usr/lib/python3*/ /usr/local/lib/python3*/; do
  [ -d "$folder" ] || continue
  rm -rf "$folder"/ensurepip "$folder"/idlelib "$folder"/lib2to3 "$folder"/pydoc_data "$folder"/tkinter "$folder"/turtledemo \
         "$folder"/test "$folder"/config-3* "$folder"/site-packages/pip "$folder"/site-packages/pip-* \
         "$folder"/site-packages/setuptools* "$folder"/site-packages/wheel* "$folder"/site-packages/pkg_resources
done
rm -f /usr/local/bin/pip* /usr/local/bin/idle* /usr/local/bin/pydoc* /usr/local/bin/2to3* /usr/local/bin/wheel
rm -rf /usr/share/doc/* /usr/share/man/* /usr/share/info/* /usr/share/locale/* /usr/share/lintian /usr/share/bug \
       /usr/share/python-wheels /usr/lib/*/gconv /var/cache/* /var/lib/apt/lists/* /var/log/* /root/.cache /tmp/*
find / -xdev -type f -perm /6000 -exec chmod a-s {} +
