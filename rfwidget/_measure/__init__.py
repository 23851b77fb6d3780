"""The engine room: everything that measures receptive fields and names no framework.

A framework's wing says how its models run (`rfwidget.network`); what follows from that is worked out here. Nothing in
here draws, and nothing in here knows what users call.
"""
