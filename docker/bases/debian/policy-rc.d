#!/bin/sh
# No init system runs in an image: a package's maintainer script must not start its service.
exit 101
