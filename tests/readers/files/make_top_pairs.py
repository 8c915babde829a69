"""Write top_pairs.root with ROOT itself (pip install ROOT uproot; 6.40 was used): momenta as TLorentzVector, which uproot cannot write.

The events are the first 1,400 of samples/ttbar_dilepton/train.root. Run it in this folder.
"""

import awkward as ak
import numpy as np
import ROOT
import uproot

EVENTS = 1400
ONE = ("lepPos", "lepNeg", "genTop", "genTbar", "genB", "genBbar", "genLepPos", "genLepNeg", "genNu", "genNuBar")
ROOT.gInterpreter.GenerateDictionary("vector<TLorentzVector>", "TLorentzVector.h;vector")
ROOT.gInterpreter.Declare("""
#include <TFile.h>
#include <TLorentzVector.h>
#include <TTree.h>
typedef std::vector<std::vector<float>> Rows;
void make(const std::vector<std::string>& names, const Rows& one, const Rows& jets, const std::vector<std::vector<int>>& tags,
          const Rows& event, const std::vector<long>& number) {
  TFile file("top_pairs.root", "RECREATE", "", 209);
  TTree tree("nominal", "nominal");
  std::vector<TLorentzVector*> p4;
  for (auto& name : names) p4.push_back(new TLorentzVector());
  for (size_t i = 0; i < names.size(); i++) tree.Branch(names[i].c_str(), "TLorentzVector", &p4[i], 64000, 99);
  std::vector<TLorentzVector> list;
  std::vector<int> tag;
  float met, phi, weight;
  ULong64_t id;
  tree.Branch("jets", &list, 64000, 99);
  tree.Branch("jetBTag", &tag);
  tree.Branch("met", &met);
  tree.Branch("metPhi", &phi);
  tree.Branch("weight", &weight);
  tree.Branch("eventNumber", &id);
  for (size_t e = 0; e < one.size(); e++) {
    for (size_t i = 0; i < names.size(); i++) p4[i]->SetPxPyPzE(one[e][4*i], one[e][4*i+1], one[e][4*i+2], one[e][4*i+3]);
    list.clear();
    for (size_t j = 0; j < jets[e].size(); j += 4) list.emplace_back(jets[e][j], jets[e][j+1], jets[e][j+2], jets[e][j+3]);
    tag = tags[e];
    met = event[e][0]; phi = event[e][1]; weight = event[e][2]; id = number[e];
    tree.Fill();
  }
  tree.Write();
}
""")


def cartesian(pt, eta, phi, mass=None, energy=None):
    """px, py, pz, E (..., 4)."""
    pt, eta, phi = (np.asarray(part, np.float64) for part in (pt, eta, phi))
    x, y, z = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    if energy is None:
        energy = np.sqrt(x**2 + y**2 + z**2 + np.asarray(mass, np.float64) ** 2)
    return np.stack([x, y, z, np.asarray(energy, np.float64)], axis=-1)


def rows(arrays, kind):
    """Arrays as a vector of vectors."""
    made = ROOT.std.vector(f"std::vector<{kind}>")()
    for array in arrays:
        made.push_back(ROOT.std.vector(kind)(np.asarray(array).ravel().tolist()))
    return made


events = uproot.open("../../../samples/ttbar_dilepton/train.root:tree").arrays(entry_stop=EVENTS)
found = [
    cartesian(*(events[f"lep_{p}"][:, i] for p in ("pt", "eta", "phi")), energy=events.lep_e[:, i]) for i in (0, 1)
]
for particle in ("top", "tbar", "b", "bbar", "lplus", "lminus"):
    found.append(cartesian(*(events[f"truth_{particle}_{p}"] for p in ("pt", "eta", "phi", "mass"))))
for particle in ("nu", "nubar"):
    momentum = np.stack([events[f"truth_{particle}_{p}"] for p in ("px", "py", "pz")], axis=-1)
    found.append(np.concatenate([momentum, np.linalg.norm(momentum, axis=-1)[:, None]], axis=-1))
jets = [cartesian(row.jet_pt, row.jet_eta, row.jet_phi, energy=row.jet_e) for row in events]
ROOT.make(
    ROOT.std.vector("std::string")(ONE),
    rows(np.concatenate(found, axis=-1), "float"),
    rows(jets, "float"),
    rows(ak.to_list(events.jet_b_tag), "int"),
    rows(np.stack([events.met_met, events.met_phi, events.weight], axis=-1), "float"),
    ROOT.std.vector("long")(events.event.tolist()),
)
