#!/bin/sh
# Usage: install.sh SERIES, where SERIES is 3.13 or the like. Runs while the image is built.
set -eu

series=$1
python=python$series
local_bin=/usr/local/bin

apt_get() {
    if [ -s /run/secrets/ca ]; then
        apt-get -o Acquire::https::CAInfo=/run/secrets/ca "$@"
    else
        apt-get "$@"
    fi
}

install_interpreter() {
    apt_get install --yes --no-install-recommends \
        ca-certificates netbase tzdata "$python" "$python-venv"
}

# The official image brings the headers without a compiler. Debian's header package would bring
# a compiler's libraries, so only the headers and the config script are taken out of it.
unpack_headers() {
    (
        cd /tmp
        apt_get download "lib$python-dev"
        dpkg-deb --fsys-tarfile "lib$python-dev"_*.deb |
            tar --extract --directory / --wildcards "./usr/include/*" "./usr/bin/*-config"
        rm "lib$python-dev"_*.deb
    )
}

link_commands() {
    ln -s "/usr/bin/$python" "$local_bin/$python"
    ln -s "$python" "$local_bin/python3"
    ln -s "/usr/bin/pydoc$series" "$local_bin/pydoc3"
    ln -s "/usr/bin/$(uname -m)-linux-gnu-$python-config" "$local_bin/$python-config"
    ln -s "$python-config" "$local_bin/python3-config"
    for command in python pydoc python-config; do
        ln -s "$(echo "$command" | sed 's/^\(python\|pydoc\)/\13/')" "$local_bin/$command"
    done
}

# Debian's ensurepip refuses to serve the system interpreter; the wheel it would use does not.
install_pip() {
    wheel=$(echo /usr/share/python-wheels/pip-*.whl)
    PYTHONPATH=$wheel "$local_bin/python3" -m pip install --no-index --no-cache-dir --no-compile \
        --root-user-action=ignore "$wheel"
}

# Like the official image, which has no table of media types: Python's mimetypes knows its own ones alone there.
remove_media_types() {
    rm /etc/mime.types
}

# Like the official image, which leaves the interpreter's own tests out.
remove_tests() {
    rm -r "/usr/lib/$python/test"
}

# Like the official image, whose standard library is compiled by whoever imports it and may write there. Debian's packages
# compile theirs while they are installed.
remove_bytecode() {
    find / -xdev -name '*.pyc' -delete
    find / -xdev -name __pycache__ -type d -empty -delete
}

export PYTHONDONTWRITEBYTECODE=1
apt_get update
install_interpreter
remove_media_types
remove_tests
unpack_headers
link_commands
install_pip
remove_bytecode
rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/ldconfig/aux-cache
python3 --version
pip --version
