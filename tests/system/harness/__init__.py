# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The system tests' own MQTT client, daemon, networks and runner. Test files import what they need from its modules."""
