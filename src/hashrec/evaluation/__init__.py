"""How good rankings are: metrics that a tie-break cannot move, under protocols with names.

`evaluate` reads what search found (`Ranking`) and what it should have found, and makes a `Report`.
The slow, obvious version of the same numbers is in `hashrec.evaluation.oracle`.
"""

from hashrec.evaluation.binary import judged
from hashrec.evaluation.measure import evaluate
from hashrec.evaluation.protocols import PROTOCOLS, Protocol
from hashrec.evaluation.ranking import Ranking, ranking_of
from hashrec.evaluation.report import Report

__all__ = ["PROTOCOLS", "Protocol", "Ranking", "Report", "evaluate", "judged", "ranking_of"]
