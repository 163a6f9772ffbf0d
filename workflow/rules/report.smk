def figures(study, experiment=None):
    return []
rule index:
    output: touch(f"{RESULTS}/index.html")
