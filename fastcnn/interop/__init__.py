"""Weights and models of other frameworks, in and out: one format a file or a folder.

A reader makes layers and arrays; what a model is, it is told by its caller, as `saving` is.
"""
