"""The shipped suite: every rule, on everything that was read.

``pytest --pyargs pytest_ampls.conformance --ampls-subscription=ID``. The requirements file decides
what is expected and what is left out; without it the defaults hold. The suite imports the public
names only, and can be taken as an example.
"""
