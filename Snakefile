# Every figure and verdict of the two papers. The way of a number:
#   config -> prepare (data) -> train (baselines) -> sample (Wang-Landau, one job per independent run)
#          -> merge (landscape with errors) -> analyse (curves, claims) -> report (notebooks, figures, index)
# Each rule calls one verb of the command `entroscape`; each verb calls the library in src/entroscape.
# All results lie in results/{scale}; results/README.md says what is there.

from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/sources.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/prepare.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/courses.smk"
include: "workflow/rules/sample.smk"
include: "workflow/rules/merge.smk"
include: "workflow/rules/analyse.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/cost.smk"


# Targets, named by what they give. A figure's own name (`snakemake ea1`) is defined with its rule in report.smk. The
# target of a task gives the figures that show nothing else, and the verdicts on it; `--config experiments=[spiral]`
# gives all figures of that task alone.


rule all:
    default_target: True
    input:
        f"{RESULTS}/index.html",
        rules.write_index.input.figures,
        not_made_again,


rule entropy_advantage:
    input:
        study_files("entropy_advantage"),


rule grokking:
    input:
        study_files("grokking"),


rule spiral:
    input:
        task_files("spiral"),


rule house_prices:
    input:
        task_files("house_prices", "house_prices_million"),


rule images:
    input:
        task_files("mnist", "cat_dog"),


rule sentences:
    input:
        task_files("sentences"),


rule claims:
    input:
        f"{RESULTS}/claims.csv",
